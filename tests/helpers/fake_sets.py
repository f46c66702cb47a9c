"""Images of noise, and published data sets of them in their own file formats."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, seed: int, size: tuple[int, int] = (12, 10)) -> Path:
    """Write noise of `size` (width, height); equal seeds give equal pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_cifar10(root: Path, monkeypatch) -> dict[str, np.ndarray]:
    """10 images in each of 5 + 1 python batches; pixels (N, 3, 32, 32) of train and test, label i mod 10."""
    from torchvision.datasets import CIFAR10

    folder, generator = root / "cifar-10-batches-py", np.random.default_rng(0)
    folder.mkdir(parents=True)
    names, pixels = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"], {}
    for name in names:
        pixels[name] = generator.integers(0, 256, (10, 3072), dtype=np.uint8)
        batch = {"data": pixels[name], "labels": list(range(10)), "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(batch))
    meta = {"label_names": [f"class {n}" for n in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5(folder / name)] for name in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[names[5], md5(folder / names[5])]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5(folder / "batches.meta")})
    train = np.concatenate([pixels[name] for name in names[:5]])
    return {"train": train.reshape(-1, 3, 32, 32), "test": pixels["test_batch"].reshape(-1, 3, 32, 32)}


def write_stl10(root: Path, monkeypatch) -> None:
    """20 + 10 labelled images, label i mod 10, and 15 unlabelled ones, as the binary files."""
    from torchvision.datasets import STL10

    folder, generator = root / "stl10_binary", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name, count in (("train", 20), ("test", 10), ("unlabeled", 15)):
        generator.integers(0, 256, (count, 3 * 96 * 96), dtype=np.uint8).tofile(folder / f"{name}_X.bin")
        if name != "unlabeled":
            (np.arange(count) % 10 + 1).astype(np.uint8).tofile(folder / f"{name}_y.bin")
    for part in ("train_list", "test_list"):
        files = [[name, md5(folder / name)] for name, _ in getattr(STL10, part)]
        monkeypatch.setattr(STL10, part, files)


def write_tiny_imagenet(root: Path) -> Path:
    """Three classes of 4 + 2 images; two of them have the same first word."""
    folder = root / "tiny-imagenet-200"
    wnids = ["n03", "n01", "n02"]  # the published list is not sorted either
    folder.mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (folder / "words.txt").write_text("n00\tentity\nn01\tcrane, bird\nn02\ttench, Tinca tinca\nn03\tcrane\n")
    lines = []
    for number, wnid in enumerate(wnids):
        for image in range(4):
            path = folder / "train" / wnid / "images" / f"{wnid}_{image}.JPEG"
            write_image(path, 10 * number + image, (64, 64))
        for image in (number, number + 3):
            write_image(folder / "val/images" / f"val_{image}.JPEG", 100 + image, (64, 64))
            lines.append(f"val_{image}.JPEG\t{wnid}\t0\t32\t44\t62")
    (folder / "val/val_annotations.txt").write_text("\n".join(lines) + "\n")
    write_image(folder / "test/images/test_0.JPEG", 200, (64, 64))  # the published test has no labels
    return folder


def write_cub200(root: Path) -> Path:
    """Three species of 3 training and 1 test image each, in the published lists."""
    folder = root / "CUB_200_2011"
    classes = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]
    images = [f"{name}/{name[4:]}_{n:04d}.jpg" for name in classes for n in range(4)]
    for seed, path in enumerate(images):
        write_image(folder / "images" / path, seed, (30, 20))
    lists = {
        "classes.txt": classes,
        "images.txt": images,
        "image_class_labels.txt": [str(n // 4 + 1) for n in range(12)],
        "train_test_split.txt": [str(int(n % 4 != 1)) for n in range(12)],
    }
    for name, values in lists.items():
        text = "".join(f"{number} {value}\n" for number, value in enumerate(values, start=1))
        (folder / name).write_text(text)
    return folder


def write_aircraft(root: Path) -> Path:
    """Two variants; 3 + 3 images of train and val, 2 of test, in the published lists."""
    folder = root / "fgvc-aircraft-2013b"
    variants = ["Boeing 707-320", "F/A-18"]
    part = {f"{n:07d}": ["train", "val", "train", "test"][n // 2] for n in range(8)}
    for seed, image in enumerate(part):
        write_image(folder / "data/images" / f"{image}.jpg", seed, (32, 24))
    (folder / "data/variants.txt").write_text("\n".join(variants) + "\n")
    for split, parts in (("trainval", {"train", "val"}), ("test", {"test"})):
        lines = [f"{image} {variants[int(image) % 2]}\n" for image in part if part[image] in parts]
        (folder / f"data/images_variant_{split}.txt").write_text("".join(lines))
    return folder
