#!/usr/bin/env python3
"""Makes a picture smaller: a PPM (P6) on stdin, its thumbnail on stdout. Nothing in it knows of Tieline.

    python3 examples/thumbnailer/thumb.py 64 < picture.ppm > small.ppm

It needs nothing but Python; any program that reads stdin and writes stdout does as well.
"""

import sys


def read(stream):
    """Width, height and pixels of a picture."""
    words = []
    while len(words) < 4:
        line = stream.readline()
        if not line:
            sys.exit("not a PPM file: it ends within its head")
        words += line.split(b"#")[0].split()
    if words[0] != b"P6" or words[3] != b"255":
        sys.exit("not a PPM file of the kind P6 with 255 shades")
    width, height = int(words[1]), int(words[2])
    pixels = stream.read()
    if len(pixels) != width * height * 3:
        sys.exit(f"not a whole picture: {len(pixels)} bytes of {width * height * 3}")
    return width, height, pixels


def smaller(width, height, pixels, size):
    """The picture within size by size pixels, each the mean of those that it stands for."""
    step = max(1, -(-max(width, height) // size))
    columns, rows = max(1, width // step), max(1, height // step)
    small = bytearray()
    for top in range(0, rows * step, step):
        for left in range(0, columns * step, step):
            ys, xs = range(top, min(top + step, height)), range(left, min(left + step, width))
            places = [(y * width + x) * 3 for y in ys for x in xs]
            small += bytes(sum(pixels[at + shade] for at in places) // len(places) for shade in range(3))
    return columns, rows, bytes(small)


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    width, height, pixels = smaller(*read(sys.stdin.buffer), size)
    sys.stdout.buffer.write(b"P6\n%d %d\n255\n" % (width, height) + pixels)


if __name__ == "__main__":
    main()
