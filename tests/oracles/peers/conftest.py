"""These tests need the peers' environment: `make oracle`. Without a peer they fail, at import."""

import os

from tests.torchvision_operators import declare_missing

os.environ["HF_HUB_OFFLINE"] = "1"  # timm's models are taken without their weights: nothing is to be fetched
declare_missing()
