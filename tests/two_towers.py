"""A model with an image and a text tower whose embeddings are known: those of colours."""

import numpy as np
import torch

WORDS = {"red": 1, "green": 2, "blue": 3, "a": 4, "square": 4}
LENGTH = 4
SCALE = 10.0


def tokenize(texts):
    """The words of each text, cut to 4 in silence, as CLIP's tokenizer does; 0 stands for none."""
    rows = [[WORDS[word] for word in text.split()][:LENGTH] for text in texts]
    return np.array([row + [0] * (LENGTH - len(row)) for row in rows])


class Towers(torch.nn.Module):
    """The embedding of an image is the mean of each colour; that of a text the sum of its colours' unit vectors."""

    def __init__(self, bias=None):
        super().__init__()
        self.map = torch.nn.Conv2d(3, 3, 1, bias=False)
        self.words = torch.nn.Embedding(5, 3)
        self.logit_scale = torch.nn.Parameter(torch.tensor(float(np.log(SCALE))))
        self.logit_bias = None if bias is None else torch.nn.Parameter(torch.tensor(bias))
        self.texts_run = 0
        with torch.no_grad():
            self.map.weight[:] = torch.eye(3)[:, :, None, None]
            self.words.weight[:] = torch.cat([torch.zeros(1, 3), torch.eye(3), torch.zeros(1, 3)])

    def encode_image(self, images):
        return self.map(images).mean((2, 3))

    def encode_text(self, tokens):
        self.texts_run += 1
        return self.words(tokens).sum(1)

    def forward(self, image, text):
        return self.encode_image(image), self.encode_text(text), self.logit_scale.exp()


def two_squares():
    """An image (1, 3, 8, 8): a red square above left, and a smaller green one below right."""
    image = np.zeros((1, 3, 8, 8), np.float32)
    image[0, 0, 1:4, 1:4] = 1
    image[0, 1, 5:7, 5:7] = 1
    return image
