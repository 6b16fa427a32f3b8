"""The decoders: processes that decode uploaded images, each killed and started again when an image takes too long."""

import asyncio
import queue
from concurrent.futures import ThreadPoolExecutor

from seewhy.images.decoder_process import DecoderProcess
from seewhy.types import ImageArray

DECODERS = 2
"""How many images are decoded at a time: while one takes too long, others are decoded by the other process."""


class Decoders:
    """Decodes images in processes of their own, while the server responds to other requests.

    Args:
        time_limit: Seconds that decoding one image may take.
        max_pixels: The maximum number of pixels of an image.
    """

    def __init__(self, time_limit: float, max_pixels: int) -> None:
        self._time_limit, self._max_pixels = time_limit, max_pixels
        self._processes: list[DecoderProcess] = []
        self._idle: queue.SimpleQueue[DecoderProcess] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(DECODERS, "seewhy-decoder")  # each waits for one process

    def start(self) -> None:
        """Start the processes."""
        for _ in range(DECODERS):
            process = DecoderProcess(self._time_limit)
            self._processes.append(process)
            self._idle.put(process)

    async def decode(self, content: bytes, name: str) -> ImageArray:
        """Decode the bytes of an image file, uint8 (H, W, 3).

        Raises:
            ImageError: The image cannot be decoded, or takes too long.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._decode, content, name)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _decode(self, content: bytes, name: str) -> ImageArray:
        process = self._idle.get()
        try:
            return process.decode(content, name, self._max_pixels)
        finally:
            self._idle.put(process)
