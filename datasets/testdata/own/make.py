"""Writes the files in this folder with the programs that others write such files with: Pillow, NumPy, Hugging Face datasets, webdataset.

    python -m venv v && v/bin/pip install pillow numpy pyarrow==26.0.1 datasets==5.2.0 webdataset==1.0.2
    v/bin/python make.py

pictures.json holds, for every picture, what Pillow reads of it: upright, over white, height, width, channels and pixels."""
import base64, gzip, io, json, os, shutil, struct, unicodedata
import numpy as np
from PIL import Image, ImageOps

here = os.path.dirname(os.path.abspath(__file__))
H, W = 10, 13
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([20 * y + 5, 17 * x + 9, (11 * (x + 2 * y)) % 256], -1).astype(np.uint8)  # no two rows or columns alike
grey = (9 * x + 11 * y).astype(np.uint8)
alpha = np.where(x > y, 255, 25 * y).astype(np.uint8)
colour, level = Image.fromarray(rgb), Image.fromarray(grey)
rgba = Image.fromarray(np.dstack([rgb, alpha]))

os.makedirs(f"{here}/pictures", exist_ok=True)
expected = {}


def keep(name, tolerance=0, **how):
    """Notes what Pillow reads of a picture that was written."""
    img = ImageOps.exif_transpose(Image.open(f"{here}/pictures/{name}"))
    if img.mode.startswith("I;16") or img.mode == "I":
        px = np.rint(np.asarray(img).astype(np.float64) / 257).astype(np.uint8)
    else:
        if img.mode in ("RGBA", "LA", "PA") or "transparency" in img.info:
            img = img.convert("RGBA")
            white = Image.new("RGBA", img.size, (255, 255, 255, 255))
            img = Image.alpha_composite(white, img).convert("RGB")
            if how.get("grey"):
                img = img.convert("L")
        img = img.convert("L" if img.mode in ("L", "1") else "RGB")
        px = np.asarray(img)
    if px.ndim == 2:
        px = px[:, :, None]
    expected[name] = dict(h=px.shape[0], w=px.shape[1], c=px.shape[2], tolerance=tolerance, pixels=base64.b64encode(px.tobytes()).decode())


def save(img, name, tolerance=0, grey=False, **how):
    img.save(f"{here}/pictures/{name}", **how)
    keep(name, tolerance, grey=grey)


save(level, "grey.png")
save(colour, "rgb.png")
save(rgba, "rgba.png", tolerance=1)
save(Image.fromarray(np.dstack([grey, alpha])), "greyalpha.png", tolerance=1, grey=True)
save(level.point(lambda v: 255 * (v > 99)).convert("1"), "bits.png")
save(colour.quantize(16), "palette.png")
clear = colour.quantize(16)
save(clear, "transparent.png", transparency=3)
save(Image.fromarray((grey.astype(np.uint16) * 257 + 77)), "grey16.png")
save(level, "grey.jpg", tolerance=3, quality=95)
save(colour, "rgb.jpg", tolerance=4, quality=95, subsampling=0)
save(colour, "progressive.jpeg", tolerance=4, quality=95, subsampling=0, progressive=True)
smooth = np.stack([4 * y + 5 * x, 200 - 9 * y, 6 * x + y], -1).astype(np.uint8)
save(Image.fromarray(smooth), "half.jpg", tolerance=3, quality=95, subsampling=2)
edges = np.where((x < 6)[..., None], np.uint8([230, 20, 30]), np.uint8([20, 60, 240])).astype(np.uint8)
edges[3:5] = 10, 220, 40  # edges of colour, between which decoders fill in halved planes in several ways
save(Image.fromarray(edges[:9]), "edges_both.jpg", tolerance=3, quality=95, subsampling="4:2:0")
save(Image.fromarray(edges[:9]), "edges_width.jpg", tolerance=3, quality=95, subsampling="4:2:2")
# Halved in height is what turning a picture without decoding it leaves: here two blocks of 16×8 become two of 8×16 by their head alone.
wide = io.BytesIO()
Image.fromarray(np.tile(edges[:8, :8], (1, 4, 1))).save(wide, "JPEG", quality=95, subsampling="4:2:2")
wide = bytearray(wide.getvalue())
head = wide.index(b"\xff\xc0")
wide[head + 5:head + 9], wide[head + 11] = struct.pack(">HH", 16, 16), 0x12
open(f"{here}/pictures/edges_height.jpg", "wb").write(wide)
keep("edges_height.jpg", 3)
save(colour.convert("CMYK"), "cmyk.jpg", tolerance=6, quality=95, subsampling=0)
for turn in range(1, 9):
    exif = Image.Exif()
    exif[274] = turn
    save(colour, f"turned{turn}.jpg", tolerance=4, quality=95, subsampling=0, exif=exif)
exif[274] = 6
save(colour, "turned.png", exif=exif)
save(colour, "turned.webp", lossless=True, exif=exif)
save(colour, "turned.tiff", exif=exif)
save(colour.quantize(32), "still.gif")
save(colour.quantize(32), "moving.gif", save_all=True, append_images=[colour.transpose(Image.FLIP_LEFT_RIGHT).quantize(32)], duration=100)
save(colour, "lossless.webp", lossless=True)
save(rgba, "alpha.webp", lossless=True, tolerance=1)
save(Image.fromarray(smooth), "lossy.webp", quality=95, tolerance=9)
save(Image.fromarray(np.dstack([smooth, alpha])), "lossyalpha.webp", quality=95, tolerance=9)
save(rgba, "edges.webp", quality=95, tolerance=9)
save(colour, "rgb.bmp")
save(level, "grey.bmp")
save(colour, "rgb.tiff")
save(level, "grey.tiff", compression="tiff_lzw")
save(rgba, "rgba.tiff", tolerance=1, compression="tiff_deflate")
save(Image.fromarray((grey.astype(np.uint16) * 257 + 77)), "grey16.tiff")
save(level.point(lambda v: 255 * (v > 99)).convert("1"), "fax.tiff", compression="group4")
save(colour.quantize(32), "palette.tiff")
json.dump(expected, open(f"{here}/pictures.json", "w"), indent=1, sort_keys=True)

# The mean of the area that each new pixel covers: every pixel is repeated until new and old ones both are whole numbers of them.
boxes = {}
for h, w in [(5, 5), (4, 13), (7, 9), (20, 26), (3, 30), (64, 64)]:
    fine = np.repeat(np.repeat(rgb.astype(np.int64), h, 0), w, 1).reshape(h, H, w, W, 3)
    px = (2 * fine.sum((1, 3)) + H * W) // (2 * H * W)
    boxes[f"{h}x{w}"] = base64.b64encode(px.astype(np.uint8).tobytes()).decode()
json.dump(boxes, open(f"{here}/boxes.json", "w"), indent=1)

# Sets: image i of train is all i*10 + its class, of test 200 + its class.
def images(n, at, shape, classes):
    labels = np.arange(n) % classes
    return np.stack([np.full(shape, (at + 10 * i + labels[i]) % 256, np.uint8) for i in range(n)]), labels


def folder(name):
    path = f"{here}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def coloured(n, at, classes, h=4, w=4):
    px, labels = images(n, at, (h, w, 3), classes)
    px[..., 1] += 1
    px[:, 0, :, 2] += 2  # the first row is told apart
    return px, labels


tr, trl = coloured(9, 0, 3)
te, tel = coloured(6, 200, 3)
path = folder("npz")
np.savez_compressed(f"{path}/keras.npz", x_train=tr, y_train=trl.astype(np.uint8)[:, None], x_test=te, y_test=tel.astype(np.int64))
np.savez(f"{path}/medmnist.npz", train_images=tr[..., 0], train_labels=trl[:, None], val_images=te[..., 0], val_labels=tel[:, None],
         test_images=te[..., 0], test_labels=tel[:, None])
np.savez(f"{path}/channels_first.npz", x_train=tr.transpose(0, 3, 1, 2), y_train=trl, x_test=te.transpose(0, 3, 1, 2), y_test=tel)
path = folder("imagenet32")
planes = lambda a: a.transpose(0, 3, 1, 2).reshape(len(a), -1)
np.savez(f"{path}/train_data_batch_1.npz", data=planes(tr[:4]), labels=list(trl[:4] + 1), mean=np.zeros(48))
np.savez(f"{path}/train_data_batch_2.npz", data=planes(tr[4:]), labels=list(trl[4:] + 1), mean=np.zeros(48))
np.savez(f"{path}/val_data.npz", data=planes(te), labels=list(tel + 1))

# Labels of text and one-hot, as numpy.eye and Keras's to_categorical make them.
names = ["oak", "ash", "elm"]
path = folder("npz_labels")
for name, of in [("text", lambda l: np.array(names)[l]), ("big_text", lambda l: np.array(names)[l].astype(">U9")), ("bytes", lambda l: np.array(names).astype("S")[l][:, None]),
                 ("onehot", lambda l: np.eye(3)[l]), ("onehot_f4", lambda l: np.eye(3, dtype="f4")[l]), ("onehot_bool", lambda l: np.eye(3, dtype=bool)[l])]:
    np.savez_compressed(f"{path}/{name}.npz", x_train=tr, y_train=of(trl), x_test=te, y_test=of(tel))
for name, bad in [("none", np.eye(3, dtype=int)[trl] * (np.arange(9) != 7)[:, None]), ("two", np.maximum(np.eye(3, dtype=int)[trl], (np.arange(9) == 7)[:, None])),
                  ("soft", np.where((np.arange(9) == 7)[:, None], .5, np.eye(3)[trl])), ("three", 3 * np.eye(3, dtype=int)[trl]), ("fortran", np.asfortranarray(np.eye(3)[trl])),
                  ("objects", np.array(names, dtype=object)[trl]), ("empty", np.where(np.arange(9) == 7, "", np.array(names)[trl])),
                  ("no_utf8", np.where(np.arange(9) == 7, b"\xff", np.array(names).astype("S")[trl])), ("pairs", np.array(names)[np.stack([trl, trl], 1)])]:
    np.savez_compressed(f"{path}/{name}.npz", images=tr, labels=bad)
np.savez_compressed(f"{path}/mixed.npz", x_train=tr, y_train=np.array(names)[trl], x_test=te, y_test=tel)

# The same arrays in Fortran order and in C order. arrays.json holds their bytes as NumPy writes them in C order, [N,H,W,C].
path = folder("fortran")
noise = np.random.default_rng(1).integers(0, 256, (15, 5, 6, 3), dtype=np.uint8)
arrays = {}
for name, px, turned in [("images", noise, lambda a: a), ("planes", noise, lambda a: a.transpose(0, 3, 1, 2)),
                         ("grey", noise[..., :1], lambda a: a[..., 0])]:
    for order, ordered in [("C", np.ascontiguousarray), ("F", np.asfortranarray)]:
        np.savez_compressed(f"{path}/{name}_{order}.npz", x_train=ordered(turned(px[:9])), y_train=trl, x_test=ordered(turned(px[9:])), y_test=tel)
    arrays[name] = [base64.b64encode(np.ascontiguousarray(part).tobytes()).decode() for part in (px[:9], px[9:])]
square = noise[:, :, :5]
np.savez_compressed(f"{path}/rows_C.npz", data=planes(square), labels=np.arange(15) % 3)
np.savez_compressed(f"{path}/rows_F.npz", data=np.asfortranarray(planes(square)), labels=np.arange(15) % 3)
arrays["rows"] = [base64.b64encode(np.ascontiguousarray(square).tobytes()).decode()]
json.dump(arrays, open(f"{path}/arrays.json", "w"), indent=1)

import datasets

path = folder("parquet")
names = ["oak", "ash", "elm"]
features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
for split, px, lb, shards in [("train", tr, trl, 2), ("test", te, tel, 1)]:
    whole = datasets.Dataset.from_dict({"image": [Image.fromarray(p) for p in px], "label": [int(l) for l in lb]}, features=features)
    for k in range(shards):
        whole.shard(shards, k, contiguous=True).to_parquet(f"{path}/{split}-{k:05d}-of-{shards:05d}.parquet")
path = folder("cifar100_parquet")
features = datasets.Features({"img": datasets.Image(), "fine_label": datasets.ClassLabel(names=names), "coarse_label": datasets.ClassLabel(names=["a", "b"])})
datasets.Dataset.from_dict({"img": [Image.fromarray(p) for p in tr], "fine_label": [int(l) for l in trl], "coarse_label": [int(l) // 2 for l in trl]},
                           features=features).to_parquet(f"{path}/all.parquet")

# Labels as floating-point numbers, as pandas leaves whole numbers where some were missing once, and as text.
import pyarrow as pa
import pyarrow.parquet as pq


def png(p):
    to = io.BytesIO()
    Image.fromarray(p).save(to, "PNG")
    return to.getvalue()


def table(name, labels, **columns):
    pictures = pa.array([{"bytes": png(p), "path": None} for p in tr], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image": pictures, "label": labels, **columns}), f"{path}/{name}.parquet")


path = folder("float_labels")
for kind in ("f2", "f4", "f8", ">f4"):
    np.savez_compressed(f"{path}/{kind.replace('>', 'big_')}.npz", x_train=tr, y_train=trl.astype(kind), x_test=te, y_test=tel.astype(kind)[:, None])
table("float", pa.array([float(l) for l in trl], pa.float32()))
table("double", pa.array([float(l) for l in trl], pa.float64()), score=pa.array(np.arange(9) + .5), row=pa.array(range(9)))
for name, bad in [("half", .5), ("nan", np.nan), ("infinite", np.inf), ("null", None), ("large", 1e300), ("negative", -1.)]:
    labels = [float(l) for l in trl]
    labels[7] = bad
    table(name, pa.array(labels, pa.float64()))
    if bad is not None:
        np.savez_compressed(f"{path}/{name}.npz", images=tr, labels=np.array(labels, "f4" if bad != 1e300 else "f8"))

# classes.json holds, for each sound file, the names in Python's order, of code points, which is that of the bytes, and the label of each row.
path = folder("text_labels")
wanted = {}
for name, kind, words in [("named", pa.string(), names), ("large", pa.large_string(), names), ("category", pa.dictionary(pa.int32(), pa.string()), names),
                          ("odd", pa.string(), ["日本", "a, b/c \"d\" #1", "naïve café"]), ("numbers", pa.string(), ["10", "9", "2"]),
                          ("mixed_case", pa.string(), ["ash", "Ash", "10"]), ("forms", pa.string(), ["cafe\u0301", " caf\u00e9\t", "ash"])]:
    texts = [words[l] for l in trl]
    table(name, pa.array(texts, pa.string()).cast(kind), row=pa.array(range(9)), source=pa.array(["x"] * 9))
    texts = [unicodedata.normalize("NFC", t.strip()) for t in texts]
    order = sorted(set(texts), key=int) if name == "numbers" else sorted(set(texts))
    wanted[name] = dict(classes=order, labels=[order.index(t) for t in texts])
json.dump(wanted, open(f"{path}/classes.json", "w"), indent=1)
for name, bad in [("empty", ""), ("blank", " \t"), ("null", None), ("lines", "two\nlines"), ("control", "a\x1b[2J"), ("long", "é" * 101)]:
    table(name, pa.array([bad if i == 7 else names[l] for i, l in enumerate(trl)], pa.string()))
table("bytes", pa.array([b"\xff\xfe" if i == 7 else b"oak" for i in range(9)], pa.binary()).view(pa.string()))  # no UTF-8
os.makedirs(f"{path}/mixed")
table("mixed/train-0", pa.array([names[l] for l in trl]))
table("mixed/test-0", pa.array(trl))

import webdataset as wds

path = folder("webdataset")
for split, px, lb in [("train", tr, trl), ("test", te, tel)]:
    with wds.TarWriter(f"{path}/trees-{split}-000000.tar") as to:
        for i, (p, l) in enumerate(zip(px, lb)):
            to.write({"__key__": f"{i:04d}", "png": p, "cls": int(l)})
path = folder("webdataset_gz")
for split, ending in [("train", "tar.gz"), ("test", "tgz")]:
    with open(f"{path}/trees-{split}-000000.{ending}", "wb") as f, gzip.GzipFile("", "wb", fileobj=f, mtime=0) as to:
        to.write(open(f"{here}/webdataset/trees-{split}-000000.tar", "rb").read())
path = folder("webdataset_json")
with wds.TarWriter(f"{path}/trees.tar") as to:
    for i, (p, l) in enumerate(zip(tr, trl)):
        to.write({"__key__": f"s/{i:04d}", "png": p, "json": {"label": names[l], "other": 1}})
path = folder("webdataset_float")
with wds.TarWriter(f"{path}/trees.tar") as to:
    for i, (p, l) in enumerate(zip(tr, trl)):
        to.write({"__key__": f"s/{i:04d}", "png": p, "json": {"label": float(l)}})

path = folder("emnist")
def idx(name, data):
    with gzip.GzipFile(f"{path}/{name}.gz", "wb", mtime=0) as f:
        f.write(struct.pack(">BBBB", 0, 0, 8, data.ndim) + struct.pack(">" + "I" * data.ndim, *data.shape) + data.tobytes())
upright = tr[..., 2]
idx("emnist-letters-train-images-idx3-ubyte", np.ascontiguousarray(upright.transpose(0, 2, 1)))
idx("emnist-letters-train-labels-idx1-ubyte", (trl + 1).astype(np.uint8))
idx("emnist-letters-test-images-idx3-ubyte", np.ascontiguousarray(te[..., 2].transpose(0, 2, 1)))
idx("emnist-letters-test-labels-idx1-ubyte", (tel + 1).astype(np.uint8))
open(f"{path}/emnist-letters-mapping.txt", "w").write("1 65 97\n2 66 98\n3 67 99\n")
