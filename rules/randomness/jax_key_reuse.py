from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .jax_keys import JaxKeys, Reuse

if TYPE_CHECKING:
    from mldebt.project.project import Project


class JaxKeyReuse(ProjectRule):
    """A JAX key is consumed a second time, so two draws that should be independent are the same numbers.

    A key is consumed by a draw, by `split`, by a function that does one of these with its parameter or with a key from
    around it, and in every pass of a loop, or of `scan` and its like, that does not bind it anew.

    ## Why it is debt

    JAX has no hidden state: the same key always gives the same numbers. Two layers initialised from one key are
    correlated, a dropout mask that is drawn from one key in every step is one mask, and noise added twice is added
    once with twice the size. The program runs, and the statistics are wrong.

    ## How to pay it back

    Split before each use: `key, subkey = jax.random.split(key)`, and draw from `subkey`. In a loop, split in each
    pass, or fold the step in: `jax.random.fold_in(key, step)`.

    ## When to leave it

    Branches that consume a key once each are fine, as are a loss and its gradient at one point, different elements of
    `split(key, n)` and `fold_in` with data that varies; none is reported. Common random numbers, wanted in a
    comparison, are the one reason to consume a key twice: say so with a waiver. JAX checks the same at run time with
    `jax_debug_key_reuse` (off by default), and the package jax-keyguard does statically.

    ## References

    - JAX, Pseudorandom numbers: https://docs.jax.dev/en/latest/random-numbers.html
    - JAX, Key reuse checking: https://docs.jax.dev/en/latest/jax.experimental.key_reuse.html
    """

    code = "MLD408"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 5
    alone = Alone.REPORT

    examples = (
        Bad(
            """
            import jax


            def init(key):
                w = jax.random.normal(key, (3, 3))
                b = jax.random.normal(key, (3,))
                return w, b
            """,
            fixed="""
            import jax


            def init(key):
                key, subkey = jax.random.split(key)
                w = jax.random.normal(subkey, (3, 3))
                b = jax.random.normal(key, (3,))
                return w, b
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import jax


            def steps(key, x, n):
                for _ in range(n):
                    x = x + jax.random.normal(key, x.shape)
                return x


            def masks(x, n):
                key = jax.random.PRNGKey(0)
                return [jax.random.bernoulli(key, 0.5, x.shape) for _ in range(n)]
            """,
            findings=2,
        ),
        Bad(
            {
                "layers.py": """
                    from jax import random


                    def dense(key, inputs, outputs):
                        w_key, b_key = random.split(key)
                        return random.normal(w_key, (inputs, outputs)), random.normal(b_key, (outputs,))
                    """,
                "train.py": """
                    import jax

                    from layers import dense


                    def main():
                        key = jax.random.key(0)
                        hidden = dense(key, 4, 8)
                        output = dense(key, 8, 1)
                        return hidden, output
                    """,
            },
            anchors=("train.py:9",),
        ),
        Bad(
            """
            from jax import random


            def batch(key):
                keys = random.split(key, 3)
                x = random.normal(keys[0], (8,))
                noise = random.normal(keys[0], (8,))
                return x + noise, random.uniform(keys[1])
            """
        ),
        Bad(
            """
            from functools import partial

            import jax
            import jax.numpy as jnp


            def network(params, x, key):
                return x @ params * jax.random.bernoulli(key, 0.8, x.shape)


            @partial(jax.jit, static_argnums=4)
            def step(params, x, y, key, rate):
                def loss(params):
                    return jnp.mean((network(params, x, key) - y) ** 2)

                return params - rate * jax.grad(loss)(params)


            def fit(params, x, y):
                key = jax.random.PRNGKey(0)
                for _ in range(100):
                    params = step(params, x, y, key, 0.1)
                return params
            """,
            anchors=("example.py:22",),
        ),
        Bad(
            """
            import jax


            def noisy_loss(params, x, key):
                return ((x + jax.random.normal(key, x.shape)) @ params).sum()


            gradient = jax.jit(jax.value_and_grad(noisy_loss))


            def fit(params, batches, seed):
                key = jax.random.key(seed)
                for x in batches:
                    _, change = gradient(params, x, key)
                    params = params - change
                return params


            def walk(key, x):
                def body(carry, _):
                    return carry + jax.random.normal(key, carry.shape), None

                return jax.lax.scan(body, x, None, length=100)
            """,
            findings=2,
        ),
        Bad(
            """
            import jax


            class Dropout:
                def __init__(self, seed):
                    self.key = jax.random.PRNGKey(seed)

                def drop(self, x):
                    return x * jax.random.bernoulli(self.key, 0.5, x.shape)

                def both(self, x, y):
                    return self.drop(x), self.drop(y)


            def rows(draw, key):
                keys = jax.random.split(key, 8)
                one = lambda k: jax.random.normal(k, (2,))
                return jax.vmap(one)(keys), jax.vmap(one)(keys)
            """,
            findings=2,
        ),
        Good(
            """
            import jax


            def loss(params, x, key):
                return (x @ params * jax.random.bernoulli(key, 0.8, x.shape)).sum()


            def step(params, x, key):
                def own(params):
                    return loss(params, x, key)

                value, change = own(params), jax.grad(own)(params)
                return value, params - change


            def fit(params, batches, key):
                for x in batches:
                    key, subkey = jax.random.split(key)
                    value, params = step(params, x, subkey)
                return params


            def walk(key, x):
                def body(carry, key):
                    return carry + jax.random.normal(key, carry.shape), None

                return jax.lax.scan(body, x, jax.random.split(key, 100))


            def folded(key, x):
                return jax.lax.fori_loop(
                    0, 9, lambda i, x: x + jax.random.normal(jax.random.fold_in(key, i), x.shape), x
                )
            """
        ),
        Good(
            """
            import jax


            class Stream:
                def __init__(self, seed):
                    self.key = jax.random.PRNGKey(seed)

                def next(self):
                    self.key, subkey = jax.random.split(self.key)
                    return subkey

                def noise(self, x):
                    return x + jax.random.normal(self.next(), x.shape)

                def twice(self, x):
                    return self.noise(x), self.noise(x)
            """
        ),
        Good(
            """
            import jax


            def init(key):
                k1, k2 = jax.random.split(key)
                return jax.random.normal(k1, (3, 3)), jax.random.normal(k2, (3,))
            """
        ),
        Good(
            """
            from jax import random


            def steps(key, x, n):
                for step in range(n):
                    key, subkey = random.split(key)
                    x = x + random.normal(subkey, x.shape)
                return x


            def folded(key, x, n):
                for step in range(n):
                    x = x + random.normal(random.fold_in(key, step), x.shape)
                return x


            def indexed(key, n):
                keys = random.split(key, n)
                return [random.normal(keys[i], (2,)) for i in range(n)], keys.shape
            """
        ),
        Good(
            """
            import jax


            def noise(key, kind, shape):
                if kind == "normal":
                    return jax.random.normal(key, shape)
                if kind == "uniform":
                    x = jax.random.uniform(key, shape)
                else:
                    x = jax.random.laplace(key, shape)
                return x * 2
            """
        ),
        Good(
            {
                "layers.py": """
                    import jax


                    def shape_of(key, size):
                        return size


                    def dense(key, size):
                        return jax.random.normal(key, (size, size))
                    """,
                "train.py": """
                    import jax

                    from layers import dense, shape_of


                    def main(key):
                        size = shape_of(key, 4)
                        key, first = jax.random.split(key)
                        hidden = dense(first, size)
                        key, second = jax.random.split(key)
                        return hidden, dense(second, size)
                    """,
            }
        ),
        Good(
            """
            import numpy as np


            def draws(rng):
                return np.random.normal(rng), np.random.normal(rng)
            """
        ),
        Good(
            """
            import jax


            def folded(key):
                a = jax.random.fold_in(key, 0)
                b = jax.random.fold_in(key, 1)
                sample = jax.vmap(lambda k: jax.random.normal(k, (2,)))
                return jax.random.normal(a, (2,)), jax.random.normal(b, (2,)), sample(jax.random.split(key, 8))
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for reuse in project[JaxKeys].reuses():
            first, again = reuse
            place = again.module.place(again.call)
            if first.call is again.call:
                yield Problem(
                    place,
                    f"the key {again.key} is consumed again in each pass of a loop, so each draws the same numbers",
                    evidence=("nothing binds the key anew in the loop",),
                )
                continue
            line = first.call.line
            yield Problem(
                place,
                f"the key {again.key} is consumed a second time, after line {line}: both draw the same numbers",
                (Related(first.module.place(first.call), "consumed here first"),),
                evidence=("nothing binds the key anew in between",),
            )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """Split before the first of two uses in one block, and give that one the new key."""
        for reuse in project[JaxKeys].reuses():
            if reuse.again.module.place(reuse.again.call) == problem.place:
                return _split(reuse)
        return None


def _split(reuse: Reuse) -> Fix | None:
    first, again = reuse
    module, call = first.module, first.call
    key = call.args[0] if call.args else None
    found = module.statement_at(call.line)
    if (
        first.call is again.call
        or not isinstance(key, Ref)
        or key.name != again.key
        or "." in key.name
        or found is None
    ):
        return None
    line = found[0].line
    text = module.text_lines[line - 1]
    indent = text[: len(text) - len(text.lstrip())]
    split = next(
        (
            f"{node.name.rpartition('.')[0]}.split"
            for node in [call.function]
            if isinstance(node, Ref) and "." in node.name and "jax.random" in "".join(module.names(first.scope, node))
        ),
        None,
    )
    if split is None or "subkey" in module.mentions or found[0].column != len(indent):
        return None
    added = Edit(Place(module.path, Span(line, 1, line, 1)), f"{indent}{key.name}, subkey = {split}({key.name})\n")
    return Fix(Applicability.SUGGEST, "split the key", (added, Edit(module.place(key), "subkey")))
