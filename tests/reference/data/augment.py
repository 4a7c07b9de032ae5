"""Twin of `regard.data.augment`: pad, crop, flip and cut out one image, pixel by pixel."""

import numpy as np


def reflected(image, padding):
    """image: (3, height, width). Pad every side as a mirror would, the edge itself once."""
    _, height, width = image.shape
    padded = np.zeros((3, height + 2 * padding, width + 2 * padding), image.dtype)
    for row in range(-padding, height + padding):
        for col in range(-padding, width + padding):
            source_row, source_col = row, col
            if row < 0:
                source_row = -row
            if row >= height:
                source_row = 2 * (height - 1) - row
            if col < 0:
                source_col = -col
            if col >= width:
                source_col = 2 * (width - 1) - col
            padded[:, row + padding, col + padding] = image[:, source_row, source_col]
    return padded


def alternating(first, epochs):
    """Jordan 2024: in each epoch those images are mirrored that were not in the one before."""
    mirrored = [list(first)]
    for _ in range(epochs - 1):
        mirrored.append([1 if before == 0 else 0 for before in mirrored[-1]])
    return mirrored


def augment(image, draw, padding, cutout):
    """draw: top, left, flipped, and the row and column of the cutout's centre."""
    top, left, flipped, centre_row, centre_col = draw
    _, height, width = image.shape
    padded = reflected(image, padding)
    result = np.zeros_like(image)
    for row in range(height):
        for col in range(width):
            result[:, row, col] = padded[:, top + row, left + col]
    if flipped:
        mirrored = result.copy()
        for col in range(width):
            mirrored[:, :, col] = result[:, :, width - 1 - col]
        result = mirrored
    for row in range(centre_row - cutout // 2, centre_row - cutout // 2 + cutout):
        for col in range(centre_col - cutout // 2, centre_col - cutout // 2 + cutout):
            if 0 <= row < height and 0 <= col < width:
                result[:, row, col] = 128
    return result
