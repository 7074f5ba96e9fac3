"""Where predictions come from, where they leave the process, and the words that say which model made them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Attribute,
    Build,
    Call,
    Comprehension,
    Const,
    Expr,
    Ref,
    Subscript,
)
from mldebt.facts.walk import children, given_values

from .narrowed import written

if TYPE_CHECKING:
    from mldebt.module import Module

_PREDICTS = frozenset(
    """predict predict_proba predict_log_proba predict_classes decision_function predict_on_batch inplace_predict
    score_samples""".split()
)
_GENERATES = frozenset({"generate", "transcribe", "encode_multi_process", "forecast", "recommend"})
_MODELS = re.compile(
    r"(?i)(?:^|_)(?:model|net|network|llm|clf|classifier|regressor|predictor|pipe|pipeline|booster)\d*$"
)
_CALLED = re.compile(r"(?i)(?:^|_)(?:model|net|network|llm|classifier|predictor)\d*$")
_PIPELINES = re.compile(r"(?i)(?:^|_)(?:pipe|pipeline|generator|summarizer|translator|detector|tagger|ner|qa|nlp)\d*$")
# A file that names one of these loads a trained model.
_LOADS = frozenset({"from_pretrained", "load_state_dict", "load_from_checkpoint", "jit"})

# Methods of frames and series that write them; the receiver leaves the process.
WRITES_ITSELF = frozenset(
    """to_csv to_parquet to_json to_sql to_excel to_feather to_pickle to_gbq to_hdf to_orc write_parquet
    write_csv write_ndjson write_json write_ipc write_delta write_database write_excel sink_parquet sink_csv
    to_delta""".split()
)
_TABLES = frozenset({"to_sql", "to_gbq", "write_database", "write_delta", "to_delta"})
# Spark: ``frame.write.mode("overwrite").parquet(out)``.
_BY_WRITER = frozenset("parquet csv json orc save saveAsTable insertInto jdbc".split())
# Functions and methods whose arguments leave the process, and which of the names they may be called on.
WRITES = {
    "dump": "json pickle joblib yaml", "savetxt": "numpy np", "writerow": "", "writerows": "", "write": "",
    "writelines": "",
    "write_text": "",
    "insert_one": "", "insert_many": "", "execute": "", "executemany": "", "put_item": "", "put_record": "",
    "send_message": "", "produce": "", "publish": "", "xadd": "", "lpush": "", "rpush": "", "put_object": "",
    "send": "",
    "bulk_insert_mappings": "", "insert_rows_json": "", "upload_blob": "",
    "write_table": "",
    "update_one": "", "replace_one": "", "put_records": "", "batch_write_item": "", "basic_publish": "",
    "send_messages": "", "send_json": "", "hset": "", "setex": "", "add_all": "", "bulk_save_objects": "",
    "bulk_create": "", "write_points": "", "append_rows": "", "load_table_from_dataframe": "",
    "load_table_from_json": "", "upload_from_string": "", "insert_rows": "",
    "JsonResponse": "", "json_response": "", "HttpResponse": "",
}  # fmt: skip
_FILES = frozenset({"dump", "savetxt", "writerow", "writerows", "write", "writelines", "write_text"})
POSTS = frozenset({"post", "put"})
_CLIENTS = frozenset("requests httpx session client aiohttp".split())
# Names that many objects have, and what these are called where they leave the process by it.
_BY_OWNER = {
    "add": frozenset({"session", "db"}),
    "create": frozenset({"objects"}),
    "index": frozenset({"es", "elastic", "elasticsearch", "opensearch"}),
    "set": frozenset({"redis", "cache", "r", "kv"}),
    "put": frozenset({"queue", "kinesis", "stream", "dataset", "q", "out_queue"}),
    "upsert": frozenset({"table", "container", "index", "collection"}),
    "insert": frozenset({"table", "collection", "db"}),
}
ROUTES = frozenset("get post put patch route api_route websocket api http cloud_event".split())
# What gives back its argument's value, or the receiver's, in another form.
_KEEPS = frozenset(
    """float int str list tuple dict round bool array asarray concatenate vstack hstack stack squeeze argmax softmax
    sigmoid where exp DataFrame Series concat assign tolist item numpy cpu detach argmax round reshape astype ravel
    flatten decode batch_decode inverse_transform to_dict json copy dumps zip enumerate sorted map jsonify JSONResponse
    Response make_response to_numpy rename reset_index set_index head join merge encode clip expm1 topk max apply
    to_pandas from_numpy column_stack format sort_values fillna drop drop_duplicates query filter select with_columns
    sort melt nlargest nsmallest to_records asdict astuple dict model_dump model_dump_json model_validate
    jsonable_encoder from_pandas from_pydict from_dict from_records collect min values view unsqueeze permute transpose
    log_softmax log1p abs insert add_column withColumn transform tobytes repeat coalesce repartition
    JsonResponse json_response HttpResponse""".split()
)
IDENTITY = re.compile(
    r"""(?ix)(?:^|[^a-z])(?:model_?(?:id|name|version|ver|hash|sha|tag|uri|rev\w*|info|path|type)|\w*version|run_?(?:id|name)
    |sha\d*|commit|threshold|timestamp|time_?stamp|schema|(?:created|scored|predicted)_(?:at|on)|checkpoint|ckpt|revision
    |experiment|exp_name|digest|fingerprint|git_\w+|metadata|setting|model_card|provenance|lineage|datetime|isoformat
    |utcnow|strftime|release|build_id|artifact\w*|etag|deployment|trained_(?:at|on)|model_?(?:alias|digest|stage))(?:$|[^a-z])|[-_./]v\d+(?:$|[^a-z])"""
)
FOLDER = re.compile(
    r"(?i)(?:^|_)(?:save|out|output|run|log|exp|result|results|predictions?|work)_?(?:dir|directory|folder|root)$"
)
REMOTE = frozenset(
    """insert_one insert_many executemany put_item put_record send_message produce publish xadd lpush rpush put_object
    bulk_insert_mappings insert_rows_json to_sql to_gbq post put route lambda_handler FastAPI APIRouter Flask
    update_one replace_one put_records batch_write_item basic_publish send_messages send_json hset setex add_all
    bulk_save_objects bulk_create write_points load_table_from_dataframe load_table_from_json insert_rows
    write_database saveAsTable insertInto JsonResponse json_response HttpResponse APIView MethodView Resource
    bentoml functions_framework""".split()
)
STUDY = re.compile(r"(?i)(?:^|[/_])(?:tests?|bench\w*|eval\w*|demos?|compar\w*|debug\w*|experiments?)(?:[/_.]|$)")
SUBMISSION = re.compile(r"(?i)submi(?:t|ssion)|kaggle|leaderboard|\bsub\b|(?:^|[^a-z])sub[_.\d]")


def is_source(module: Module, scope: int, call: Call) -> bool:
    """Whether a call asks a model for predictions."""
    function = call.function
    if not isinstance(function, (Ref, Attribute)):
        return False
    head, _, last = function.name.rpartition(".")
    if last in _PREDICTS:
        return bool(call.args or call.keywords) and (bool(head) or isinstance(function, Attribute))
    if last in _GENERATES:
        return bool(_MODELS.search(head.rpartition(".")[2]))
    if last == "run" and head:
        return "InferenceSession" in module.mentions and len(call.args) > 1  # onnxruntime: session.run(None, inputs)
    if last == "transform" and head and any(one.module.startswith("pyspark.ml") for one in module.facts.imports):
        made = written(module, scope, Ref(head, function.line, function.column))
        loaded = isinstance(made, Call) and isinstance(made.function, Ref) and made.function.name.endswith(".load")
        return loaded or _MODELS.search(head.rpartition(".")[2]) is not None
    if isinstance(function, Ref) and _PIPELINES.search(last) and call.args and "pipeline" in module.mentions:
        return any(one.module == "transformers" for one in module.facts.imports)
    if isinstance(function, Ref) and _CALLED.search(last) and (call.args or call.keywords):
        project = module.project
        if any(project.types.is_a(one, "torch.nn.Module") for one in project.types.of(module, scope, function)):
            return True
        names = project.resolve(module, scope, function.name)
        return not names and not _LOADS.isdisjoint(module.mentions)
    return False


def keeps(call: Call) -> list[Expr]:
    """What a call hands on in another form: its arguments and receiver; [] for calls that make something new."""
    function = call.function
    if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in _KEEPS:
        return []
    found: list[Expr] = given_values(call)
    head = function.name.rpartition(".")[0]
    if isinstance(function, Attribute):
        found.append(function.value)
    elif head:
        found.append(Ref(head, function.line, function.column))
    return found


def leaves(call: Call) -> list[Expr]:
    """The parts of a call that leave the process by it; [] for any other call."""
    function = call.function
    if not isinstance(function, (Ref, Attribute)):
        return []
    head, _, last = function.name.rpartition(".")
    if last in WRITES_ITSELF:
        return [function.value if isinstance(function, Attribute) else Ref(head, function.line, function.column)]
    given = given_values(call)
    if last in _BY_WRITER and (frame := _frame_written(function)) is not None:
        return [frame]
    if last in _BY_OWNER and head.rpartition(".")[2].lower().lstrip("_") in _BY_OWNER[last]:
        return given
    owners = WRITES.get(last)
    if owners is not None and (head or isinstance(function, Attribute) or last[:1].isupper()):
        return given if not owners or head.partition(".")[0] in owners.split() else []
    if last in POSTS and head.rpartition(".")[2].lower().lstrip("_") in _CLIENTS:
        return given
    return []


def _frame_written(function: Ref | Attribute) -> Expr | None:
    """The frame before ``.write`` in the chain of a Spark writer."""
    node: Expr = function
    while isinstance(node, (Ref, Attribute, Call)):
        if isinstance(node, Call):
            node = node.function
            continue
        frame, dot, _ = node.name.partition(".write.")
        if isinstance(node, Ref):
            frame = frame if dot else node.name.removesuffix(".write") if node.name.endswith(".write") else ""
            return Ref(frame, node.line, node.column) if frame else None
        if node.name == "write" or node.name.startswith("write."):
            return node.value
        node = node.value
    return None


def is_remote(call: Call) -> bool:
    """Whether it goes to a table, a queue or a service, and not into a file."""
    function = call.function
    last = function.name.rpartition(".")[2] if isinstance(function, (Ref, Attribute)) else ""
    if last in _BY_WRITER and isinstance(function, (Ref, Attribute)) and _frame_written(function) is not None:
        return last in ("saveAsTable", "insertInto", "jdbc")
    return last not in _FILES | (WRITES_ITSELF - _TABLES) | {"write_table"}


def words(expr: Expr, stop: Iterable[Call] = ()) -> Iterator[str]:
    """What an expression says of its value: keys, columns, names of arguments and variables, parts of texts.

    Nothing inside the calls ``stop``: a model's own arguments are not written beside its result.
    """
    stopped = {id(call) for call in stop}
    stack = [expr]
    while stack:
        node = stack.pop()
        if id(node) in stopped:
            continue
        if isinstance(node, Const) and isinstance(node.value, str):
            yield node.value if len(node.value) < 200 else ""
        elif isinstance(node, (Ref, Attribute)):
            yield node.name.rpartition(".")[2]
        elif isinstance(node, Call):
            yield from (keyword.name for keyword in node.keywords if keyword.name)
        stack.extend(children(node))


def keyed_model(expr: Expr) -> bool:
    """Whether a dict, a call or a column is keyed by plain ``model``."""
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Build) and any(isinstance(key, Const) and key.value == "model" for key in node.keys):
            return True
        if isinstance(node, Call) and any(keyword.name == "model" for keyword in node.keywords):
            return True
        if isinstance(node, Subscript) and isinstance(node.index, Const) and node.index.value == "model":
            return True
        stack.extend(children(node))
    return False


def elements(expr: Expr) -> list[Expr]:
    """The parts of a display or comprehension that end up in it."""
    if isinstance(expr, Build):
        return list(expr.items)
    if isinstance(expr, Comprehension):
        return [expr.element, *[generator.iterable for generator in expr.generators]]
    return []
