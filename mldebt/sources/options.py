"""Options of the programs that stand before a Python script on a command line: which take a value, which do not.

Sources: CPython Modules/main.c; torch/distributed/run.py and launch.py; accelerate/commands/launch.py;
deepspeed/launcher/runner.py; coverage, kernprof, streamlit, composer and uv command-line references; manual pages of
env, sudo, timeout, taskset, srun, mpirun. Names are without leading dashes and with ``-`` for ``_``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct


class Options(Struct, frozen=True):
    """How one program reads its own options, up to the first word that is none.

    ``module`` options say that this word is a module, ``program`` options that it is a program, ``stop`` options that
    no script follows. ``unknown`` says what an option of no table is taken for; ``guess`` takes a value unless the
    next word is an option or a script, and makes the result uncertain. ``positional`` words come before the command.
    """

    values: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    module: frozenset[str] = frozenset()
    program: frozenset[str] = frozenset()
    stop: frozenset[str] = frozenset({"h", "help", "V", "version"})
    pairs: frozenset[str] = frozenset()  # options of two values
    unknown: Literal["flag", "value", "guess"] = "guess"
    abbreviations: bool = False  # argparse: a unique beginning of a long option stands for it
    positional: int = 0


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TORCH_VALUES = _set(
    """nnodes nproc-per-node rdzv-backend rdzv-endpoint rdzv-id rdzv-conf max-restarts monitor-interval start-method
    event-log-handler role log-dir logdir r redirects t tee local-ranks-filter node-rank master-addr master-port
    local-addr logs-specs numa-binding signals-to-handle shutdown-timeout duplicate-stdout-filters
    duplicate-stderr-filters"""
)
_TORCH = Options(
    values=_TORCH_VALUES,
    flags=_set("standalone run-path use-env virtual-local-rank"),
    module=_set("m module"),
    program=_set("no-python"),
    stop=_set("h help"),
    abbreviations=True,
)
_ACCELERATE = Options(
    values=_set(
        """config-file mixed-precision num-processes num-machines num-cpu-threads-per-process dynamo-backend dynamo-mode
        gpu-ids machine-rank main-process-ip main-process-port t tee log-dir role rdzv-backend rdzv-conf max-restarts
        monitor-interval vm env main-training-function deepspeed-config-file zero-stage offload-optimizer-device
        offload-param-device offload-optimizer-nvme-path offload-param-nvme-path gradient-accumulation-steps
        gradient-clipping zero3-init-flag zero3-save-16bit-model deepspeed-hostfile deepspeed-exclusion-filter
        deepspeed-inclusion-filter deepspeed-multinode-launcher deepspeed-moe-layer-cls-names fsdp-version
        fsdp-offload-params fsdp-min-num-params fsdp-sharding-strategy fsdp-reshard-after-forward fsdp-auto-wrap-policy
        fsdp-transformer-layer-cls-to-wrap fsdp-backward-prefetch fsdp-backward-prefetch-policy fsdp-state-dict-type
        fsdp-forward-prefetch fsdp-use-orig-params fsdp-cpu-ram-efficient-loading fsdp-sync-module-states
        fsdp-activation-checkpointing megatron-lm-tp-degree megatron-lm-pp-degree megatron-lm-num-micro-batches
        megatron-lm-sequence-parallelism megatron-lm-recompute-activations megatron-lm-use-distributed-optimizer
        megatron-lm-gradient-clipping fp8-backend fp8-margin fp8-interval fp8-format fp8-amax-history-len
        fp8-amax-compute-algo fp8-override-linear-precision fp8-opt-level aws-access-key-id aws-secret-access-key
        mpirun-hostfile mpirun-ccl same-network-ip"""
    ),
    flags=_set(
        """quiet q cpu multi-gpu tpu ipex enable-cpu-affinity dynamo-use-fullgraph dynamo-use-dynamic
        dynamo-use-regional-compilation use-deepspeed use-fsdp use-megatron-lm use-xpu same-network tpu-cluster
        no-tpu-cluster tpu-use-sudo downcast-bf16 fp8-use-autocast-during-eval debug fp16 use-mps-device"""
    ),
    module=_set("m module"),
    program=_set("no-python"),
    stop=_set("h help"),
)
_DEEPSPEED = Options(
    values=_set(
        """H hostfile i include e exclude num-nodes min-elastic-nodes max-elastic-nodes num-gpus num-accelerators
        master-port master-addr launcher launcher-args enable-each-rank-log autotuning bind-core-list node-rank
        ssh-port venv-script"""
    ),
    flags=_set("no-local-rank no-ssh-check no-ssh force-multi save-pid elastic-training bind-cores-to-rank"),
    module=_set("module"),
    program=_set("no-python"),
    stop=_set("h help"),
    abbreviations=True,
)
_COVERAGE = Options(
    values=_set("concurrency context data-file include omit rcfile source source-dirs save-signal"),
    flags=_set("a append branch L pylib p parallel-mode timid debug q"),
    module=_set("m module"),
    stop=_set("h help"),
)
_COMPOSER = Options(
    values=_set("n nproc stdout stderr world-size base-rank node-rank master-addr master-port"),
    flags=_set("v verbose"),
    module=_set("m module-mode"),
    program=_set("c command-mode"),
)
_PROFILE = Options(values=_set("o outfile s sort"), module=_set("m"), unknown="value")
_IPYTHON = Options(
    flags=_set("i pdb no-banner quiet quick nosep no-confirm-exit classic"), stop=_set("c h help version"),
    module=_set("m"), unknown="flag",
)  # fmt: skip

LAUNCHERS: Mapping[str, Options] = MappingProxyType(
    {
        "torchrun": _TORCH,
        "accelerate launch": _ACCELERATE,
        "accelerate-launch": _ACCELERATE,
        "deepspeed": _DEEPSPEED,
        "coverage run": _COVERAGE,
        "composer": _COMPOSER,
        "streamlit run": Options(unknown="value"),
        "ipython": _IPYTHON,
        "ipython3": _IPYTHON,
        "kernprof": Options(
            values=_set("o outfile s setup u unit p prof-mod i output-interval"),
            flags=_set("l line-by-line b builtin v view z skip-zero r rich no-preimports q"),
            module=_set("m module"),
        ),
    }
)
"""Programs that take a Python script or module and its arguments."""

MODULE_LAUNCHERS: Mapping[str, tuple[str, str, Options]] = MappingProxyType(
    {
        "torch.distributed.launch": ("", "torch.distributed.launch", _TORCH),
        "torch.distributed.run": ("", "torch.distributed.run", _TORCH),
        "accelerate.commands.launch": ("", "accelerate launch", _ACCELERATE),
        "accelerate.commands.accelerate_cli": ("launch", "accelerate launch", _ACCELERATE),
        "deepspeed.launcher.runner": ("", "deepspeed", _DEEPSPEED),
        "deepspeed": ("", "deepspeed", _DEEPSPEED),
        "coverage": ("run", "coverage run", _COVERAGE),
        "streamlit": ("run", "streamlit run", Options(unknown="value")),
        "composer.cli.launcher": ("", "composer", _COMPOSER),
        "cProfile": ("", "python -m cProfile", _PROFILE),
        "profile": ("", "python -m profile", _PROFILE),
        "pdb": ("", "python -m pdb", Options(values=_set("c command"), module=_set("m"))),
        "ipdb": ("", "python -m ipdb", Options(values=_set("c command"), module=_set("m"))),
        "torch.utils.bottleneck": ("", "python -m torch.utils.bottleneck", Options()),
        "paddle.distributed.launch": ("", "paddle.distributed.launch", Options(unknown="value")),
        "oneflow.distributed.launch": ("", "oneflow.distributed.launch", Options(module=_set("m"), unknown="value")),
    }
)
"""Modules behind ``python -m`` that launch a script: the subcommand they need, the launcher's name, its options."""

_SRUN = Options(
    values=_set(
        """A c C d D e G i J L M m n N o p q t w x comment account time partition nodes ntasks gres gpus cpus-per-task
        mem output error job-name ntasks-per-node gpus-per-node gpus-per-task mem-per-cpu mem-per-gpu nodelist exclude
        qos constraint container-image container-mounts container-name container-workdir reservation chdir input"""
    ),
    flags=_set("l u v Q O E I X Z H s k K label unbuffered verbose quiet pty overlap exclusive kill-on-bad-exit"
               " overcommit oversubscribe no-kill no-container-mount-home preserve-env container-mount-home"
               " container-writable disable-status exact"),
    unknown="value",
)  # fmt: skip
_MPIRUN = Options(
    values=_set(
        """n np c H host hosts f hostfile machinefile x npernode ppn N map-by bind-to rank-by wdir wd path prefix
        output-filename timeout rf rankfile app p ssh-port network-interface gloo-timeout-seconds min-np max-np
        host-discovery-script env envlist launcher hosts-file perhost"""
    ),
    flags=_set("allow-run-as-root oversubscribe tag-output v verbose q quiet display-map report-bindings gloo mpi"
               " merge-stderr-to-stdout bycore bynode timestamp-output use-hwthread-cpus genvall disable-cache"),
    pairs=_set("mca gmca genv"),
)  # fmt: skip
_CONDA = Options(
    values=_set("n name p prefix cwd"),
    flags=_set("no-capture-output live-stream s no-banner v q a attach dev debug-wrapper-scripts"),
)
_UV = Options(
    values=_set(
        """with with-editable with-requirements p python extra no-extra group no-group only-group package directory
        project env-file index default-index index-url extra-index-url f find-links P upgrade-package reinstall-package
        resolution prerelease index-strategy keyring-provider exclude-newer link-mode C config-setting cache-dir
        color config-file allow-insecure-host refresh-package no-build-package no-binary-package python-platform w"""
    ),
    flags=_set("s script gui-script"),
    module=_set("m module"),
    unknown="flag",
)

WRAPPERS: Mapping[str, Options] = MappingProxyType(
    {
        "env": Options(values=_set("u unset C chdir"), flags=_set("i ignore-environment 0 null v debug S")),
        "sudo": Options(values=_set("u user g group h host p prompt C D chdir"), unknown="flag"),
        "nohup": Options(),
        "exec": Options(values=_set("a"), unknown="flag"),
        "command": Options(flags=_set("p"), stop=_set("v V")),
        "time": Options(values=_set("f format o output"), unknown="flag"),
        "nice": Options(values=_set("n adjustment"), unknown="flag"),
        "ionice": Options(values=_set("c class n classdata"), unknown="flag"),
        "chrt": Options(positional=1, unknown="flag"),
        "timeout": Options(values=_set("k kill-after s signal"), unknown="flag", positional=1),
        "taskset": Options(unknown="flag", positional=1),
        "numactl": Options(values=_set("N m C p i"), unknown="flag"),
        "stdbuf": Options(values=_set("i input o output e error")),
        "setsid": Options(unknown="flag"),
        "unbuffer": Options(flags=_set("p")),
        "catchsegv": Options(),
        "winpty": Options(unknown="flag"),
        "xvfb-run": Options(
            values=_set("e error-file f auth-file n server-num p xauth-protocol s server-args w wait"), unknown="flag"
        ),
        "dotenv run": Options(values=_set("f file"), unknown="flag"),
        "srun": _SRUN,
        "mpirun": _MPIRUN,
        "mpiexec": _MPIRUN,
        "orterun": _MPIRUN,
        "horovodrun": _MPIRUN,
        "uv run": _UV,
        "rye run": Options(unknown="flag"),
        "pdm run": Options(values=_set("p project"), unknown="flag"),
        "poetry run": Options(values=_set("C directory P project"), unknown="flag"),
        "pipenv run": Options(unknown="flag"),
        "pixi run": Options(values=_set("e environment manifest-path"), unknown="flag"),
        "hatch run": Options(values=_set("e env"), unknown="flag"),
        "conda run": _CONDA,
        "mamba run": _CONDA,
        "micromamba run": _CONDA,
        "nsys profile": Options(unknown="guess", flags=_set("w"), values=_set("o t s f c y d output trace sample")),
        "gdb": Options(flags=_set("args batch q quiet"), values=_set("ex iex x")),
        "strace": Options(values=_set("e o s"), unknown="flag"),
    }
)
"""Programs that run the command after their own options."""

RUNNERS = frozenset({"uv run", "rye run", "pdm run"})
"""Wrappers that start a ``.py`` file themselves."""

PYTHON = Options(
    values=_set("W X check-hash-based-pycs"),
    stop=_set("c h ? V VV help version help-env help-xoptions help-all"),
    module=_set("m"),
    unknown="flag",
)
