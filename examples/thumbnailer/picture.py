#!/usr/bin/env python3
"""Paints a picture to try the thumbnailer with: colours that run from corner to corner.

    python3 examples/thumbnailer/picture.py 320 240 > picture.ppm
"""

import sys


def main():
    width, height = int(sys.argv[1]), int(sys.argv[2])
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes((255 * x // width, 255 * y // height, (x + y) % 256))
    sys.stdout.buffer.write(b"P6\n%d %d\n255\n" % (width, height) + pixels)


if __name__ == "__main__":
    main()
