#!/usr/bin/env python3
"""tools/imagenet-to-npy on generated images: the bytes of torchvision's own pipeline, labels, going
on after a stop, and errors. Exit code 77 (skipped) without torchvision."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torchvision.transforms as transforms
    from PIL import Image
    from torchvision.datasets import ImageFolder
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "imagenet-to-npy")


def run(*arguments):
    return subprocess.run([sys.executable, tool, *arguments, "--threads", "1"], capture_output=True,
                          text=True, check=False)


def fails(words, *arguments):
    result = run(*arguments)
    assert result.returncode == 1, result
    assert words in result.stderr and result.stderr.count("\n") == 1, result.stderr


def main():
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        images, out = os.path.join(folder, "val"), os.path.join(folder, "out")
        fails("is no folder", images, out)
        for name, sizes in (("n02", [(300, 400), (257, 256)]), ("n01", [(256, 611), (90, 70), (224, 224)])):
            os.makedirs(os.path.join(images, name))
            for i, (height, width) in enumerate(sizes):
                smooth = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
                picture = Image.fromarray(smooth).resize((width, height))
                if i == 1:
                    picture = picture.convert("L")
                picture.save(os.path.join(images, name, f"{9 - i}.JPEG"), quality=90)
        assert run(images, out).returncode == 0
        got, labels = np.load(os.path.join(out, "test-images.npy")), np.load(os.path.join(out, "test-labels.npy"))
        theirs = ImageFolder(images, transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)]))
        assert got.shape == (5, 3, 224, 224) and got.dtype == np.uint8 and labels.dtype == np.uint16
        for i, (picture, label) in enumerate(theirs):
            assert np.array_equal(got[i].transpose(1, 2, 0), np.asarray(picture)), i
            assert labels[i] == label, i

        # A run that was stopped after three images goes on there.
        state = os.path.join(out, "test-images.json")
        with open(state, encoding="utf-8") as file:
            note = json.load(file)
        note["done"] = 3
        with open(state, "w", encoding="utf-8") as file:
            json.dump(note, file)
        again = np.lib.format.open_memmap(os.path.join(out, "test-images.npy"), mode="r+")
        again[2:] = 7
        del again
        resumed = run(images, out)
        assert "going on after 3 of 5" in resumed.stderr, resumed.stderr
        after = np.load(os.path.join(out, "test-images.npy"))
        assert np.array_equal(after[3:], got[3:]) and (after[2] == 7).all()

        assert run(images, out, "--split", "train", "--every", "2", "--crop", "32").returncode == 0
        assert np.load(os.path.join(out, "train-images.npy")).shape == (3, 3, 32, 32)
        assert np.load(os.path.join(out, "train-labels.npy")).tolist() == [0, 0, 1]
        fails("differ); --force begins anew", images, out, "--resize", "300")
        assert run(images, out, "--resize", "300", "--force").returncode == 0

        with open(os.path.join(images, "n02", "broken.png"), "wb") as file:
            file.write(b"no image")
        fails("broken.png: cannot be read as an image", images, os.path.join(folder, "other"))
        flat = os.path.join(folder, "flat")
        os.makedirs(flat)
        Image.new("RGB", (8, 8)).save(os.path.join(flat, "ILSVRC2012_val_00000001.JPEG"))
        fails("sort them into their classes' folders first", flat, out)
        os.makedirs(os.path.join(images, "n03"))
        fails("n03 holds no image", images, os.path.join(folder, "third"))


main()
