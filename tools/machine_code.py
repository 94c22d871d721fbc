"""What cuobjdump (CUDA toolkit, or the PyPI packages nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm)
says of the kernels in an object file. No GPU needed."""
import collections
import os
import re
import shutil
import subprocess
import sys
import sysconfig

SKIPPED = 77  # what ctest and automake call a test that did not run
MISSING = ("skipped, no cuobjdump (pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm, "
           "or CUOBJDUMP=FILE NVDISASM=FILE)")

Instruction = collections.namedtuple("Instruction", "address predicate text")


def find_tool(name):
    """On PATH, in the CUDA toolkit, or where pip puts NVIDIA's packages."""
    if os.environ.get(name.upper()):
        return os.environ[name.upper()]
    places = [os.path.join(p, "bin") for p in (os.environ.get("CUDA_HOME"), "/usr/local/cuda") if p]
    for site in [sysconfig.get_paths()["purelib"], *sys.path]:
        for toolkit in ("cu13", "cu12", "cuda_cuobjdump", "cuda_nvdisasm"):
            places.append(os.path.join(site, "nvidia", toolkit, "bin"))
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))


def opcode(instruction):
    return instruction.text.split()[0]


def uses_local_memory(instruction):
    return opcode(instruction).startswith(("LDL", "STL"))


def kernels(path, cuobjdump, arch):
    """{kernel: [Instruction]} and {kernel: {registers, stack, shared}} of one object."""
    env = dict(os.environ)
    nvdisasm = find_tool("nvdisasm")
    if nvdisasm:
        env["PATH"] = os.path.dirname(nvdisasm) + os.pathsep + env["PATH"]

    def dump(option):
        return subprocess.run([cuobjdump, "-arch", arch, option, path], env=env,
                              capture_output=True, text=True, check=True).stdout

    code, name = {}, None
    for line in dump("-sass").splitlines():
        found = re.search(r"Function\s*:\s*(\S+)", line)
        if found:
            name = found[1]
            code[name] = []
        found = re.match(r"\s*/\*([0-9a-f]{4,6})\*/\s+(?:(@!?U?P\w+)\s+)?([^;]+?)\s*;", line)
        if found and name:
            code[name].append(Instruction(int(found[1], 16), found[2] or "", found[3]))
    resources, name = {}, None
    for line in dump("-res-usage").splitlines():
        found = re.search(r"Function\s+(\S+):", line)
        if found:
            name = found[1]
        found = re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", line)
        if found and name:
            resources[name] = dict(zip(("registers", "stack", "shared"), map(int, found.groups())))
    return code, resources


def demangle(names):
    """{mangled: readable, without the namespaces and the arguments}."""
    try:
        run = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                             check=True)
        readable = run.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return dict(zip(names, names))
    short = {}
    for name, text in zip(names, readable):
        text = re.sub(r"smoothcert::(gpu::|device::)?(device_abi::|generic::)?|\(anonymous namespace\)::",
                      "", text)
        text = re.sub(r"^(static )?void ", "", text)
        short[name] = text.split("(")[0].strip() or name
    return short
