"""`dkit build`: darknet for this machine's GPU, or CPU."""

from pathlib import Path

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import Outcome, dkit_command, say
from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.build import LOG, Built, build, target_folder
from darknet_kit.engine.cuda import parse_capabilities
from darknet_kit.engine.find import BUILD_RECORD
from darknet_kit.engine.plan import OPTIONAL, BuildPlan, plan_build
from darknet_kit.engine.source import Source, find_source
from darknet_kit.engine.toolchain import find_toolchain
from darknet_kit.engine.toolkit import AUTO
from darknet_kit.errors import UsageError


@dkit_command(
    examples=[
        "dkit build",
        "dkit build --dry-run",
        "dkit build --arch 8.6,8.9 --out ~/darknet-for-the-server",
        "dkit build --cuda pip --flavor hank-ai",
        "dkit build --cpu --source ~/src/darknet",
    ]
)
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    default=Flavor.ALEXEYAB.value,
    show_default=True,
    help="Whose Darknet.",
)
@click.option(
    "--gpu/--cpu",
    default=None,
    help="Insist on an NVIDIA GPU, or do without. Default: a GPU where all it needs is there.",
)
@click.option(
    "--arch",
    metavar="CC[,CC]",
    help="Build for GPUs of these compute capabilities, like 9.0 or 8.6,8.9, instead of this "
    "machine's.",
)
@click.option(
    "--cuda",
    default=AUTO,
    show_default=True,
    metavar="auto|pip|PATH",
    help="Which CUDA: the first that will do of $CUDA_HOME, nvcc on PATH, /usr/local/cuda* and "
    "pip's packages; those packages, which need no root; or the one in PATH.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(OPTIONAL),
    help="Leave out something that is there. May be repeated.",
)
@click.option(
    "--source",
    default="",
    metavar="PATH|URL",
    help="A Darknet checkout, which is not changed, or a git repository. Default: "
    "third_party/darknet, else the pinned repository.",
)
@click.option("--jobs", type=click.IntRange(1), help="Compilers at a time. Default: one per core.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder for the binary. Default: one that other commands look into.",
)
@click.option("--rebuild", is_flag=True, help="Build again what is there already.")
@click.option("--dry-run", is_flag=True, help="Show what would be built, and why so; do nothing.")
def command(
    flavor: str,
    gpu: bool | None,
    arch: str | None,
    cuda: str,
    without: tuple[str, ...],
    source: str,
    jobs: int | None,
    out: Path | None,
    rebuild: bool,
    dry_run: bool,
) -> Outcome:
    """Build darknet for this machine's GPU, or CPU.

    Looks at the GPU, CUDA, cuDNN, OpenCV and the CPU, and sets what upstream's makefile leaves to
    the user. The result has to train two iterations on drawn images before it is taken. Running it
    again does nothing when all is as it was; after a kill it goes on.
    """
    capabilities = parse_capabilities(arch) if arch is not None else ()
    origin = find_source(Flavor(flavor), source)
    if cuda != AUTO:
        gpu = _insist_on_gpu(gpu)
    plan = plan_build(
        find_toolchain(cuda=cuda),
        flavor=origin.flavor,
        gpu=gpu,
        arch=capabilities,
        without=without,
        jobs=jobs or 0,
    )
    folder = out.expanduser().absolute() if out else target_folder(plan, origin)
    if dry_run:
        return _show_plan(plan, origin, folder)
    for note in plan.notes:
        say(f"note: {note}")
    with progress_bar("compiling", "files") as progress:
        built = build(plan, origin, folder, rebuild=rebuild, progress=progress, tell=say)
    return _show_built(plan, built, is_default=out is None)


def _insist_on_gpu(gpu: bool | None) -> bool:
    if gpu is False:
        raise UsageError(
            "--cuda names a CUDA and --cpu builds without one",
            code="cpu-with-cuda",
            hint="Leave one of them out.",
        )
    return True


def _describe(plan: BuildPlan, source: Source, folder: Path) -> dict[str, object]:
    settings = [
        {"name": one.name, "value": one.value, "reason": one.reason} for one in plan.settings
    ]
    return {
        "flavor": plan.flavor.value,
        "gpu": plan.gpu,
        "source": source.place,
        "commit": source.commit,
        "pinned": source.pinned,
        "folder": str(folder),
        "settings": settings,
        "versions": list(plan.versions),
        "notes": list(plan.notes),
    }


def _show_plan(plan: BuildPlan, source: Source, folder: Path) -> Outcome:
    width = max(len(one.name) for one in plan.settings)
    indent = " " * (width + 4)
    summary = [f"would build {source}", f"into        {folder}", ""]
    for one in plan.settings:
        long = f"\n{indent}" if len(one.value) > 8 else " " * (10 - len(one.value))
        summary.append(f"  {one.name:<{width}}  {one.value}{long}{one.reason}")
    summary += ["", *(f"note: {note}" for note in plan.notes)]
    return Outcome(summary, {"dry_run": True, **_describe(plan, source, folder)})


def _tell_verification(built: Built) -> list[tuple[str, str]]:
    trial, code = built.verification["trial"], built.verification["gpu_code"]
    trained = [("not run", built.obstacle)] if built.obstacle else [("tested", trial)]
    return [*([("GPU", code)] if code else []), *trained]


def _show_built(plan: BuildPlan, built: Built, *, is_default: bool) -> Outcome:
    state = "built" if built.fresh else "up to date"
    switches = [one for one in plan.settings if not one.name.startswith("CMAKE_")]
    with_what = [one.name for one in switches if one.value in ("1", "ON")]
    summary = [
        f"{state}: {built.binary}",
        f"  source   {built.source}",
        f"  with     {', '.join(with_what) or 'nothing optional'} ({', '.join(plan.versions)})",
        f"  record   {built.folder / BUILD_RECORD}, {LOG} beside it",
    ]
    summary[-1:-1] = [f"  {name:<8} {text}" for name, text in _tell_verification(built)]
    if plan.elsewhere and built.obstacle:
        summary.append("  use      on a machine that has this GPU, and the same libraries in place")
    data = {
        **_describe(plan, built.source, built.folder),
        "binary": str(built.binary),
        "state": state,
        "obstacle": built.obstacle,
        "verification": built.verification,
    }
    found_by_itself = is_default and not built.obstacle
    engine = "" if found_by_itself else f" --engine {built.binary}"
    return Outcome(summary, data, next_command=f"dkit train NAME.data NAME.cfg{engine}")
