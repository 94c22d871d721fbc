"""tools/gpu-pack, gpu-run and gpu-check where there is no GPU: with made-up packs, and with this build's
simulated GPUs.

    gpu_pack_test.py BUILD
"""
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
sys.dont_write_bytecode = True


def script(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(ROOT, "tools", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def write_program(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text + "\n")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


class MadeUpPack(unittest.TestCase):
    """A pack of shell scripts: what gpu-run does when programs fail, hang or lie."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.pack = os.path.join(self.folder, "pack")
        self.out = os.path.join(self.folder, "out")
        os.makedirs(os.path.join(self.pack, "bin"))
        shutil.copy2(os.path.join(ROOT, "tools", "gpu-run"), self.pack)
        self.program("smoothcert_gpu_tests", "echo '[  PASSED  ] 3 tests.'")
        self.program("fused_gpu", "echo 'votes agree'")
        self.program("smoothcert", "exit 3")
        self.program("gpu_bench", "exit 3")
        self.manifest({})

    def program(self, name, text):
        write_program(os.path.join(self.pack, "bin", name), text)

    def manifest(self, files):
        with open(os.path.join(self.pack, "manifest.json"), "w", encoding="utf-8") as file:
            json.dump({"commit": "c0ffee", "simulated": True, "architectures": None, "files": files,
                       "libraries_there": []}, file)

    def run_pack(self, *arguments):
        done = subprocess.run([sys.executable, os.path.join(self.pack, "gpu-run"), "--out", self.out, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        table = os.path.join(self.out, "table.md")
        text = ""
        if os.path.exists(table):
            with open(table, encoding="utf-8") as file:
                text = file.read()
        return done.returncode, text, done.stdout

    def test_what_passes_and_what_fails(self):
        code, table, _ = self.run_pack("machine", "kernels", "gpu-tests")
        self.assertEqual(code, 0, table)
        self.assertIn("| gpu-tests | passed: 3 tests passed |", table)
        self.program("fused_gpu", "echo 'moved votes: 7'; exit 1")
        code, table, _ = self.run_pack("kernels", "gpu-tests")
        self.assertEqual(code, 1)
        self.assertRegex(table, r"kernels \| FAILED: the kernels' votes do not agree.*moved votes: 7")
        self.assertIn("| gpu-tests | passed", table)

    def test_no_test_is_no_success(self):
        for said in ("true", "echo '[  PASSED  ] 0 tests.'"):
            self.program("smoothcert_gpu_tests", said)
            code, table, _ = self.run_pack("gpu-tests")
            self.assertEqual(code, 1)
            self.assertIn("FAILED: no test ran", table)

    def test_failed_tests_are_named(self):
        self.program("smoothcert_gpu_tests",
                     "echo '[  FAILED  ] GpuSmall.Votes'; echo '[  PASSED  ] 2 tests.'; exit 1")
        code, table, _ = self.run_pack("gpu-tests")
        self.assertEqual(code, 1)
        self.assertIn("failed: GpuSmall.Votes", table)

    def test_what_hangs_is_ended_and_the_rest_is_said(self):
        self.program("fused_gpu", "sleep 600 & sleep 600")
        code, table, _ = self.run_pack("kernels", "gpu-tests", "--seconds", "6")
        self.assertEqual(code, 1)
        self.assertRegex(table, r"kernels \| FAILED: fused_gpu not done after [56] s")
        self.assertIn("| gpu-tests | skipped: no time left |", table)

    def test_a_damaged_pack_proves_nothing(self):
        self.manifest({"bin/fused_gpu": "0" * 64})
        code, table, _ = self.run_pack("machine", "kernels")
        self.assertEqual(code, 1)
        self.assertIn("FAILED: not as they were packed: bin/fused_gpu", table)
        self.assertNotIn("kernels", table)

    def test_results_are_written_after_each_step(self):
        self.program("fused_gpu", "grep -q machine %s/table.md && echo seen" % self.out)
        _, table, _ = self.run_pack("machine", "kernels")
        self.assertIn("| kernels | passed: seen |", table)

    def test_unknown_steps_and_folders(self):
        self.assertEqual(self.run_pack("kernel")[0], 2)
        os.remove(os.path.join(self.pack, "manifest.json"))
        code, _, said = self.run_pack("machine")
        self.assertEqual(code, 1)
        self.assertIn("this is no pack of tools/gpu-pack", said)

    def test_clocks(self):
        text = script("gpu-run").clock_text
        self.assertEqual(text("345, 0x0000000000000001\n1980, 0x0000000000000000\n"), "1980 MHz")
        self.assertEqual(text("1980, 0x0000000000000000\n1200, 0x0000000000000004\n"),
                         "1200–1980 MHz, held back (0x4)")
        self.assertEqual(text("Unable to determine\n"), "clocks unknown")


class GpuCheck(unittest.TestCase):
    """A build that fails is no pass, and writes no table."""

    def test_a_failed_build_fails_and_ends_it(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for name in ("cmake", "nvcc"):
            write_program(os.path.join(folder, name), f"echo {name} fails; exit 1")
        write_program(os.path.join(folder, "ctest"), "touch %s/ctest-ran" % folder)
        before = sorted(os.listdir(os.path.join(ROOT, "bench", "results")))
        done = subprocess.run(
            [os.path.join(ROOT, "tools", "gpu-check"), "--anyway", "build", "gpu-tests", "table"],
            env=dict(os.environ, PATH=folder + ":" + os.environ["PATH"], CUDACXX=os.path.join(folder, "nvcc"),
                     SMOOTHCERT_GPU_BUILD=os.path.join(folder, "build")),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("the build failed", done.stdout)
        self.assertFalse(os.path.exists(os.path.join(folder, "ctest-ran")))
        self.assertEqual(sorted(os.listdir(os.path.join(ROOT, "bench", "results"))), before)


@unittest.skipUnless(os.path.exists(os.path.join(BUILD, "smoothcert_simulated_tests")) and
                     os.path.exists(os.path.join(BUILD, "simulated_gpu_bench")), "no simulated GPUs in this build")
class SimulatedPack(unittest.TestCase):
    def test_packs_runs_and_carries_its_libraries(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        pack, out = os.path.join(folder, "pack"), os.path.join(folder, "out")
        packed = subprocess.run([os.path.join(ROOT, "tools", "gpu-pack"), "--simulated", BUILD, "--out", pack],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(packed.returncode, 0, packed.stdout)
        theirs = script("gpu-pack").THEIRS
        for name in os.listdir(os.path.join(pack, "bin")):
            listed = subprocess.run(["ldd", os.path.join(pack, "bin", name)],
                                    env={"LD_LIBRARY_PATH": os.path.join(pack, "lib"), "PATH": os.environ["PATH"]},
                                    stdout=subprocess.PIPE, text=True, check=True).stdout
            for library, path in re.findall(r"^\s*(\S+) => (\S+)", listed, re.M):
                if not theirs.match(library):
                    self.assertTrue(path.startswith(pack), f"{name}: {library} comes from {path}")
        # Neither compilers nor anything else but a shell's basics and Python.
        bare = os.path.join(folder, "bare")
        os.makedirs(bare)
        for tool in ("ldd", "sh", "bash", "env", "cat", "grep"):
            if shutil.which(tool):
                os.symlink(shutil.which(tool), os.path.join(bare, tool))
        done = subprocess.run(
            [sys.executable, os.path.join(pack, "gpu-run"), "--out", out, "--quick", "--anyway", "machine", "certify",
             "bench", "peers", "memcheck", "ncu"],
            env={"PATH": bare, "HOME": folder}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        with open(os.path.join(out, "results.json"), encoding="utf-8") as file:
            results = json.load(file)
        verdicts = {step["step"]: step["verdict"] for step in results["steps"]}
        self.assertEqual({name: verdicts[name] for name in ("machine", "certify", "bench")},
                         {"machine": "passed", "certify": "passed", "bench": "passed"}, done.stdout)
        self.assertTrue(any(row[0].startswith("votes, convnn, exact") for row in results["rows"]), results["rows"])
        self.assertTrue(any(row[0].startswith("epoch, adversarial") for row in results["rows"]), results["rows"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
