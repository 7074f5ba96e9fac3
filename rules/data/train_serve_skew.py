"""MLD614."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .skews import Skew, Skews


class TrainServeSkew(ProjectRule):
    """The program that answers requests prepares its input itself, and not as the training program did: other
    constants, other steps, another order of columns, or without the scaler or encoder the model was fitted behind.

    ## Why it is debt

    The model gets values it has never seen, answers without an error, and is wrong by an amount that no test set
    shows, because the test set is prepared by the training code. The two versions drift further with every change that
    is made in one of them.

    ## How to pay it back

    Write the preparation once and call it from both programs: `features.py` with `prepare(frame, settings)`. Save
    transformers together with the model, as one `Pipeline`, and load that where requests are answered.

    ## When to leave it

    Silent: both sides call one function, versions that come to the same (`(x - 127.5) / 127.5` and `x / 127.5 - 1`),
    copies that are the same, random augmentations of the training side, values for missing input that only one side
    fills in, constants that are read from a file, and programs that nothing shows to use one model.

    ## References

    - Breck et al., "The ML Test Score", 2017, Monitor 3: training and serving features compute the same values.
    - Zinkevich, "Rules of Machine Learning", rule 32: re-use code between your training and your serving pipeline,
      https://developers.google.com/machine-learning/guides/rules-of-ml
    """

    code = "MLD614"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 45
    examples = (
        Bad(
            {
                "train.py": """
                    import joblib
                    import numpy as np
                    from sklearn.svm import SVC


                    def main():
                        images = np.load("images.npy")
                        images = (images - 127.5) / 127.5
                        model = SVC().fit(images, np.load("labels.npy"))
                        joblib.dump(model, "model.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
                "serve.py": """
                    import joblib
                    import numpy as np
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("model.joblib")


                    @app.post("/predict")
                    def predict(pixels: list[float]):
                        image = np.array(pixels) / 255.0
                        return {"label": int(model.predict([image])[0])}
                    """,
            },
            anchors=("serve.py:11",),
        ),
        Bad(
            {
                "features.py": """
                    import numpy as np


                    def add_features(frame):
                        frame["bmi"] = frame["weight"] / (frame["height"] / 100) ** 2
                        frame["income"] = np.log1p(frame["income"])
                        return frame
                    """,
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression

                    from features import add_features


                    def main():
                        frame = add_features(pd.read_csv("people.csv"))
                        model = LogisticRegression().fit(frame[["bmi", "income"]], frame["ill"])
                        joblib.dump(model, "risk.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
                "app.py": """
                    import joblib
                    import numpy as np
                    import pandas as pd
                    from flask import Flask, request

                    app = Flask(__name__)
                    model = joblib.load("risk.joblib")


                    @app.route("/risk", methods=["POST"])
                    def risk():
                        person = request.get_json()
                        row = {
                            "bmi": person["weight"] / person["height"] ** 2,
                            "income": np.log10(person["income"]),
                        }
                        return str(model.predict(pd.DataFrame([row]))[0])
                    """,
            },
            anchors=("app.py:13",),
        ),
        Bad(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import train_test_split
                    from sklearn.preprocessing import StandardScaler

                    frame = pd.read_csv("loans.csv")
                    train, test = train_test_split(frame, random_state=0)
                    scaler = StandardScaler().fit(train[["age", "income"]])
                    model = LogisticRegression().fit(scaler.transform(train[["age", "income"]]), train["late"])
                    joblib.dump(model, "loans.joblib")
                    """,
                "serve.py": """
                    import joblib
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("loans.joblib")


                    @app.post("/late")
                    def late(age: float, income: float):
                        return float(model.predict_proba([[age, income]])[0, 1])
                    """,
            },
            anchors=("serve.py:10",),
        ),
        Bad(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.feature_extraction.text import HashingVectorizer
                    from sklearn.linear_model import SGDClassifier
                    from sklearn.pipeline import make_pipeline


                    def clean_text(text):
                        text = text.lower()
                        return text.strip()


                    def main():
                        reviews = pd.read_csv("reviews.csv")
                        model = make_pipeline(HashingVectorizer(lowercase=False), SGDClassifier(random_state=0))
                        model.fit(reviews["text"].map(clean_text), reviews["stars"])
                        joblib.dump(model, "stars.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
                "serve.py": """
                    import joblib
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("stars.joblib")


                    def clean(text):
                        return text.strip()


                    @app.post("/stars")
                    def stars(text: str):
                        return int(model.predict([clean(text)])[0])
                    """,
            },
            anchors=("serve.py:9",),
        ),
        Bad(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression

                    FEATURES = ["age", "income", "sum"]
                    loans = pd.read_csv("loans.csv")
                    joblib.dump(LogisticRegression().fit(loans[FEATURES].to_numpy(), loans["late"]), "loans.joblib")
                    """,
                "serve.py": """
                    import joblib
                    import pandas as pd
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("loans.joblib")


                    @app.post("/late")
                    def late(loan: dict):
                        row = pd.DataFrame([loan])[["income", "age", "sum"]]
                        return float(model.predict_proba(row.to_numpy())[0, 1])
                    """,
            },
            anchors=("serve.py:11",),
        ),
        Good(
            {
                "prepare.py": """
                    def scaled(images):
                        return (images - 127.5) / 127.5
                    """,
                "train.py": """
                    import joblib
                    import numpy as np
                    from sklearn.svm import SVC

                    from prepare import scaled

                    model = SVC().fit(scaled(np.load("images.npy")), np.load("labels.npy"))
                    joblib.dump(model, "model.joblib")
                    """,
                "serve.py": """
                    import joblib
                    import numpy as np
                    from fastapi import FastAPI

                    from prepare import scaled

                    app = FastAPI()
                    model = joblib.load("model.joblib")


                    @app.post("/predict")
                    def predict(pixels: list[float]):
                        return int(model.predict([scaled(np.array(pixels))])[0])
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import numpy as np
                    from sklearn.svm import SVC

                    images = np.load("images.npy")
                    images = (images - 127.5) / 127.5
                    images = images + np.random.default_rng(0).normal(0, 0.01, images.shape)
                    joblib.dump(SVC().fit(images, np.load("labels.npy")), "model.joblib")
                    """,
                "serve.py": """
                    import joblib
                    import numpy as np
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("model.joblib")


                    @app.post("/predict")
                    def predict(pixels: list[float]):
                        image = np.array(pixels) / 127.5 - 1
                        return int(model.predict([image])[0])
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.pipeline import make_pipeline
                    from sklearn.preprocessing import StandardScaler

                    frame = pd.read_csv("loans.csv")
                    frame["age"] = frame["age"].fillna(0) / 100
                    model = make_pipeline(StandardScaler(), LogisticRegression())
                    joblib.dump(model.fit(frame[["age", "income"]], frame["late"]), "loans.joblib")
                    """,
                "serve.py": """
                    import joblib
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("loans.joblib")


                    @app.post("/late")
                    def late(person: dict):
                        age = person.get("age", 0) / 100
                        return float(model.predict_proba([[age, person["income"]]])[0, 1])
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.preprocessing import StandardScaler

                    frame = pd.read_csv("loans.csv")
                    scaler = StandardScaler()
                    model = LogisticRegression().fit(scaler.fit_transform(frame[["age"]]), frame["late"])
                    joblib.dump(scaler, "scaler.joblib")
                    joblib.dump(model, "loans.joblib")
                    """,
                "serve.py": """
                    import joblib
                    from fastapi import FastAPI

                    app = FastAPI()
                    scaler, model = joblib.load("scaler.joblib"), joblib.load("loans.joblib")


                    @app.post("/late")
                    def late(age: float):
                        return float(model.predict_proba(scaler.transform([[age]]))[0, 1])
                    """,
            }
        ),
        Good(
            {
                "faces/train.py": """
                    import joblib
                    import numpy as np
                    from sklearn.svm import SVC

                    joblib.dump(SVC().fit(np.load("faces.npy") / 255.0, np.load("names.npy")), "faces/faces.joblib")
                    """,
                "plates/train.py": """
                    import joblib
                    import numpy as np
                    from sklearn.svm import SVC

                    model = SVC().fit(np.load("plates.npy") / 127.5 - 1, np.load("texts.npy"))
                    joblib.dump(model, "plates/plates.joblib")
                    """,
                "plates/serve.py": """
                    import joblib
                    import numpy as np
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("plates/plates.joblib")


                    @app.post("/predict")
                    def predict(pixels: list[float]):
                        return model.predict([np.array(pixels) / 127.5 - 1])[0]
                    """,
            }
        ),
        Bad(
            {
                "training/frontend.py": """
                    import librosa
                    import numpy as np


                    def extract_features(wav, sr):
                        wav = wav / (np.abs(wav).max() + 1e-9)
                        mel = librosa.feature.melspectrogram(y=wav, sr=sr, n_mels=64, hop_length=160)
                        return np.log(mel + 1e-6)
                    """,
                "training/train.py": """
                    import numpy as np
                    import joblib
                    from sklearn.svm import SVC

                    from training.frontend import extract_features

                    X = [extract_features(w, 16000) for w in np.load("w.npy")]
                    joblib.dump(SVC().fit(X, np.load("y.npy")), "k.joblib")
                    """,
                "training/__init__.py": """
                    """,
                "deploy/handler.py": """
                    import json
                    import joblib
                    import librosa
                    import numpy as np

                    MODEL = joblib.load("k.joblib")


                    def extract_features(wav, sr):
                        mel = librosa.feature.melspectrogram(y=wav, sr=sr, n_mels=80, hop_length=160)
                        return np.log(mel + 1e-6)


                    def handler(event, context):
                        x = extract_features(np.array(json.loads(event["body"])), 16000)
                        return {"statusCode": 200, "body": str(MODEL.predict([x])[0])}
                    """,
            },
        ),
        Bad(
            {
                "train.py": """
                    import joblib
                    import numpy as np
                    import pandas as pd
                    from sklearn.linear_model import Ridge


                    def prepare(df):
                        df = df.copy()
                        df["income"] = np.log1p(df["income"])
                        df["age_bin"] = pd.cut(df["age"], [0, 30, 60, 120], labels=False)
                        return df[["income", "age_bin"]]


                    df = pd.read_csv("a.csv")
                    joblib.dump(Ridge().fit(prepare(df), df["y"]), "m.joblib")
                    """,
                "wrapper.py": """
                    import joblib
                    import mlflow
                    import numpy as np
                    import pandas as pd


                    class Wrapper(mlflow.pyfunc.PythonModel):
                        def load_context(self, context):
                            self.model = joblib.load("m.joblib")

                        def predict(self, context, df):
                            df = df.copy()
                            df["income"] = np.log1p(df["income"])
                            df["age_bin"] = pd.cut(df["age"], [0, 35, 65, 120], labels=False)
                            return self.model.predict(df[["income", "age_bin"]])
                    """,
            },
        ),
        Bad(
            {
                "train.py": """
                    import torch
                    from torchvision import transforms as T
                    from torchvision.datasets import ImageFolder
                    from torchvision.models import resnet18

                    norm = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
                    tf = T.Compose([T.RandomResizedCrop(224), T.ToTensor(), norm])
                    net = resnet18()
                    opt = torch.optim.SGD(net.parameters(), 0.1)
                    for x, y in torch.utils.data.DataLoader(ImageFolder("d", tf), 8):
                        loss = torch.nn.functional.cross_entropy(net(x), y)
                        loss.backward()
                        opt.step()
                    torch.save(net.state_dict(), "net.pt")
                    """,
                "serve.py": """
                    import io
                    import torch
                    from fastapi import FastAPI, File
                    from PIL import Image
                    from torchvision import transforms
                    from torchvision.models import resnet18

                    app = FastAPI()
                    net = resnet18()
                    net.load_state_dict(torch.load("net.pt"))
                    net.eval()
                    norm = transforms.Normalize([0.5] * 3, [0.5, 0.5, 0.5])
                    tf = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor(), norm])


                    @app.post("/predict")
                    def predict(data: bytes = File()):
                        return int(net(tf(Image.open(io.BytesIO(data)))[None]).argmax())
                    """,
            },
        ),
        Bad(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import Ridge

                    df = pd.read_csv("a.csv")
                    df["ratio"] = df["debt"] / (df["income"] + 1)
                    df["age"] = df["age"].clip(18, 90)
                    joblib.dump(Ridge().fit(df[["ratio", "age"]], df["y"]), "m.joblib")
                    """,
                "app.py": """
                    import joblib
                    import streamlit as st

                    model = joblib.load("m.joblib")
                    debt = st.number_input("debt")
                    income = st.number_input("income")
                    age = st.number_input("age")
                    ratio = debt / (income + 100)
                    age = min(age, 80)
                    st.write(model.predict([[ratio, age]])[0])
                    """,
            },
        ),
        Bad(
            {
                "train.py": r"""
                    import re
                    import joblib
                    import pandas as pd
                    from sklearn.feature_extraction.text import TfidfVectorizer
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.pipeline import make_pipeline


                    def clean_text(text):
                        text = text.lower()
                        text = re.sub(r"http\S+", " ", text)
                        text = re.sub(r"[^a-z ]", " ", text)
                        return " ".join(w for w in text.split() if len(w) > 2)


                    df = pd.read_csv("a.csv")
                    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
                    joblib.dump(model.fit(df["text"].map(clean_text), df["y"]), "m.joblib")
                    """,
                "api/main.py": r"""
                    import re
                    import joblib
                    from flask import Flask, request

                    app = Flask(__name__)
                    model = joblib.load("m.joblib")


                    def clean_text(text):
                        text = re.sub(r"http\S+", " ", text)
                        text = re.sub(r"[^a-zA-Z ]", " ", text)
                        return " ".join(w for w in text.split() if len(w) > 2)


                    @app.post("/")
                    def predict():
                        return str(model.predict([clean_text(request.json["text"])])[0])
                    """,
            },
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import numpy as np
                    import pandas as pd
                    from sklearn.linear_model import Ridge


                    def prepare(df):
                        df = df.copy()
                        df["income"] = np.log1p(df["income"])
                        df["age_bin"] = pd.cut(df["age"], [0, 30, 60, 120], labels=False)
                        return df[["income", "age_bin"]]


                    df = pd.read_csv("a.csv")
                    joblib.dump(Ridge().fit(prepare(df), df["y"]), "m.joblib")
                    """,
                "serve.py": """
                    import joblib
                    import numpy as np
                    import pandas as pd
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("m.joblib")


                    def prepare(frame):
                        frame = frame.copy()
                        frame["income"] = np.log1p(frame["income"])
                        frame["age_bin"] = pd.cut(frame["age"], [0, 30, 60, 120], labels=False)
                        return frame[["income", "age_bin"]]


                    @app.post("/p")
                    def p(body: dict):
                        return float(model.predict(prepare(pd.DataFrame([body])))[0])
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import torch
                    from torchvision import transforms as T
                    from torchvision.datasets import ImageFolder
                    from torchvision.models import resnet18

                    MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
                    steps = [T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)]
                    tf = T.Compose(steps)
                    net = resnet18()
                    opt = torch.optim.SGD(net.parameters(), 0.1)
                    for x, y in torch.utils.data.DataLoader(ImageFolder("d", tf), 8):
                        loss = torch.nn.functional.cross_entropy(net(x), y)
                        loss.backward()
                        opt.step()
                    torch.save(net.state_dict(), "net.pt")
                    """,
                "serve.py": """
                    import io
                    import torch
                    from fastapi import FastAPI, File
                    from PIL import Image
                    from torchvision import transforms
                    from torchvision.models import resnet18

                    app = FastAPI()
                    net = resnet18()
                    net.load_state_dict(torch.load("net.pt"))
                    net.eval()
                    norm = transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
                    cut = [transforms.Resize(256), transforms.CenterCrop(224)]
                    tf = transforms.Compose([*cut, transforms.ToTensor(), norm])


                    @app.post("/predict")
                    def predict(data: bytes = File()):
                        return int(net(tf(Image.open(io.BytesIO(data)))[None]).argmax())
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import numpy as np
                    from sklearn.svm import SVC


                    def preprocess(x, train=True):
                        x = x / 255.0
                        if train and np.random.rand() < 0.5:
                            x = x[:, ::-1]
                        return x


                    X = np.load("x.npy")
                    joblib.dump(SVC().fit(preprocess(X), np.load("y.npy")), "m.joblib")
                    """,
                "serve.py": """
                    import joblib
                    import numpy as np
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("m.joblib")


                    def preprocess(x):
                        return np.asarray(x) / 255.0


                    @app.post("/p")
                    def p(body: list):
                        return int(model.predict([preprocess(np.array(body))])[0])
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import Ridge


                    def prepare(df):
                        df = df.dropna(subset=["y"]).drop_duplicates()
                        df["age"] = df["age"].fillna(df["age"].median())
                        df["ratio"] = df["a"] / df["b"]
                        return df


                    df = prepare(pd.read_csv("a.csv"))
                    joblib.dump(Ridge().fit(df[["ratio", "age"]], df["y"]), "m.joblib")
                    """,
                "serve.py": """
                    import joblib
                    import pandas as pd
                    from fastapi import FastAPI

                    app = FastAPI()
                    model = joblib.load("m.joblib")


                    def prepare(body):
                        row = pd.DataFrame([body])
                        row["ratio"] = row["a"] / row["b"]
                        return row[["ratio", "age"]]


                    @app.post("/p")
                    def p(body: dict):
                        return float(model.predict(prepare(body))[0])
                    """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for skew in project[Skews].all:
            yield Problem(
                skew.served,
                _message(skew),
                related=(Related(skew.trained, "the training side", "cause"),),
                evidence=(f"both belong to one model: {skew.by}", "no function is shared by the two sides for it"),
                symbol=skew.what,
            )


def _message(skew: Skew) -> str:
    there = f"{skew.trained.path}:{skew.trained.span.line}"
    if skew.kind == "missing":
        return f"the model of {skew.by} was fitted behind {skew.what} ({there}), and is asked here without it"
    if skew.kind == "refit":
        return f"{skew.what} is fitted anew on what is to be predicted; {skew.by} was fitted behind that of {there}"
    if skew.kind == "order":
        return f"columns stand in another order than in training ({there}): {skew.here} for {skew.there}"
    also = f"; so do {', '.join(skew.others)}" if skew.others else ""
    return f"{skew.what} differs: {skew.here} here, {skew.there} in training ({there}){also}"
