"""Time every separator on stereo noise, beside the originals' own code where it can be installed.

    python scripts/benchmark_separators.py [--only htdemucs scnet …] [--seconds 3] [--python PYTHON]

Networks get random weights of the published sizes, so nothing is downloaded and nothing is separated; time
and memory are the same. Each separator has a process of its own with its YAML's settings. A first run of 1 s,
which loads, is not counted; the table has the fastest of the others, the processor time of that, and the peak
memory of the process (of the GPU where there is one). Demucs' originals run here, with `demucs.apply`; those
of `hdemucs` and `openunmix` in PYTHON, which belongs to an environment with torchaudio==2.11.0 and
openunmix==1.3.0.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
COMMON = """
import json, resource, sys, time
import numpy as np, torch
choice, device, threads, runs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
seconds = float(sys.argv[5])
torch.set_num_threads(threads)
torch.manual_seed(0)
def tell(separate, n_parameters, sample_rate=44100):
    heard = 0.1 * np.random.RandomState(0).standard_normal((2, round(seconds * sample_rate)))
    heard = heard.astype(np.float32)
    separate(heard[:, :sample_rate])
    taken = []
    for _ in range(runs):
        begin_s, cpu_begin_s = time.perf_counter(), time.process_time()
        separate(heard)
        taken.append((time.perf_counter() - begin_s, time.process_time() - cpu_begin_s))
    peak = torch.cuda.max_memory_allocated() if device != "cpu" else 0
    peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    s, cpu_s = min(taken)
    print(json.dumps(dict(s=s, cpu_s=cpu_s, mib=peak / 2**20, parameters=n_parameters())))
"""
DEMUCS = """
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
SOURCES = ["drums", "bass", "other", "vocals"]
def published(signature):
    if signature in ("955717e8", "f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"):
        return HTDemucs(SOURCES, bottom_channels=512, dconv_mode=3, segment=39 / 5)
    return Demucs(SOURCES) if signature in ("0d19c1c6", "7ecf8ec1") else HDemucs(SOURCES)
"""
OURS = f"""{COMMON}{DEMUCS}
import importlib, pkgutil
from pathlib import Path
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from cadenza_remix import demix
from cadenza_remix.settings import Settings
from cadenza_remix.config import CONF, build
from cadenza_remix.demix import convtasnet, mdxnet
from cadenza_remix.demix.weights import WeightsFile
loaded = {{}}
def keep(load, paths, device):
    if (load, paths) not in loaded:
        loaded[load, paths] = load(paths).eval().to(device)
    return loaded[load, paths]
instead = {{
    "find_weights": lambda files, **_: tuple(WeightsFile(Path(file.part), "0" * 64) for file in files),
    "read_tensors": lambda path: {{}},
    "load_state": lambda network, tensors, path: None,
    "load_network": lambda path: published(path.name),
    "_loaded": keep,
}}
for module in pkgutil.iter_modules(demix.__path__, "cadenza_remix.demix."):
    module = importlib.import_module(module.name)
    for name in instead.keys() & vars(module).keys():
        setattr(module, name, instead[name])
# These look at what is in their files.
def convtasnet_tensors(path):
    speech = "clarity" in choice
    n_filters, length, hidden, blocks, stacks = (128, 40, 256, 7, 2) if speech else (256, 20, 512, 10, 4)
    sizes = convtasnet.Sizes(
        n_filters, length, n_filters, hidden, kernel=3, blocks=blocks, stacks=stacks, sources=2, channels=2
    )
    return convtasnet.ConvTasNet(sizes, causal="causal" in choice).state_dict()
def mdxnet_tensors(path):
    mixer = {{"linear.weight": torch.rand(8, 10) / 10}}
    return mixer if path.name == "mixer" else mdxnet.target(path.name).state_dict()
convtasnet.read_tensors, mdxnet.read_tensors = convtasnet_tensors, mdxnet_tensors
ConfigStore.instance().store(name="schema", node=Settings)
with initialize_config_dir(str(CONF), version_base="1.3"):
    keys = [f"separator={{choice}}", f"device={{device}}", f"executor.threads={{threads}}"]
    node = compose("config", keys).separator
if node.get("weights", "") is None:
    node.weights = "random"
separator = build(node, "separator")
def n_parameters():
    return sum(x.numel() for one in loaded.values() for x in one.parameters())
tell(separator, n_parameters, separator.sample_rate)
"""
DEMUCS_ORIGINAL = f"""{COMMON}{DEMUCS}
from demucs.apply import BagOfModels, apply_model
from omegaconf import OmegaConf
node = OmegaConf.load(sys.argv[6])
networks = [published(url.rsplit("/", 1)[1].split("-")[0]) for url in node.files]
segment = None if "htdemucs" in choice else float(node.segments.segment_s)
bag = BagOfModels(networks, [list(row) for row in node.blend], segment).eval()
def separate(heard):
    apply_model(bag, torch.from_numpy(heard)[None], shifts=node.shifts, overlap=0.25, device=device)
tell(separate, lambda: sum(x.numel() for x in bag.parameters()))
"""
BASELINE_ORIGINALS = {
    "hdemucs": f"""{COMMON}
from torchaudio.models import hdemucs_high
network = hdemucs_high(["drums", "bass", "other", "vocals"]).eval().to(device)
""",
    "openunmix": f"""{COMMON}
from openunmix.model import OpenUnmix, Separator
targets = {{name: OpenUnmix(2049, 2, 512, max_bin=1487) for name in ("vocals", "drums", "bass", "other")}}
network = Separator(targets, niter=0, sample_rate=44100.0, n_fft=4096, n_hop=1024, nb_channels=2)
network = network.eval().to(device)
""",
}
FORWARD = """
def separate(heard):
    with torch.inference_mode():
        network(torch.from_numpy(heard)[None].to(device)).cpu()
tell(separate, lambda: sum(x.numel() for x in network.parameters()))
"""


def measure(
    python: Path | str, program: str, choice: str, options: argparse.Namespace, *more: str
) -> dict[str, float]:
    """Seconds, MiB and parameters in a fresh process."""
    own = str(REPOSITORY) if program == OURS else ""
    environment = os.environ | {"PYTHONPATH": own, "OMP_NUM_THREADS": str(options.threads)}
    command = [
        str(python),
        "-c",
        program,
        choice,
        options.device,
        str(options.threads),
        str(options.runs),
        str(options.seconds),
        *more,
    ]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {choice}: {done.stderr.splitlines()[-1]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def original(choice: str, options: argparse.Namespace) -> dict[str, float] | None:
    """The same of the original, where there is one."""
    yaml = REPOSITORY / f"conf/separator/{choice}.yaml"
    if "_target_: cadenza_remix.demix.demucs.demucs\n" in yaml.read_text(encoding="utf-8"):
        return measure(sys.executable, DEMUCS_ORIGINAL, choice, options, str(yaml))
    if options.python and choice in BASELINE_ORIGINALS:
        return measure(options.python, BASELINE_ORIGINALS[choice] + FORWARD, choice, options)
    return None


def main() -> None:
    """Read the arguments, measure one after the other, print the table as it grows."""
    choices = sorted(path.stem for path in (REPOSITORY / "conf/separator").glob("*.yaml"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=choices, default=choices)
    parser.add_argument("--python", type=Path, help="of an environment with torchaudio and openunmix")
    parser.add_argument("--seconds", type=float, default=10, help="of noise")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    print(
        "| `separator=` | parameters (M) | s | CPU s | real-time factor | MiB | original: s | CPU s | MiB |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for choice in options.only:
        ours, theirs = measure(sys.executable, OURS, choice, options), original(choice, options)
        beside = f"{theirs['s']:.2f} | {theirs['cpu_s']:.2f} | {theirs['mib']:.0f}" if theirs else "| |"
        print(
            f"| `{choice}` | {ours['parameters'] / 1e6:.1f} | {ours['s']:.2f} | {ours['cpu_s']:.2f} "
            f"| {ours['s'] / options.seconds:.2f} | {ours['mib']:.0f} | {beside} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
