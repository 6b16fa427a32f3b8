# The web page and JSON API of `seewhy serve`, with the default model in ONNX Runtime.
#
#     docker build -t seewhy .
#     docker run --rm -p 127.0.0.1:8000:8000 --memory 2g --read-only --tmpfs /tmp seewhy
#
# Then open http://127.0.0.1:8000. Arguments are those of `seewhy serve`:
#
#     docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/models:/models:ro" seewhy --model /models/model.onnx

FROM python:3.11-slim AS build
RUN pip install --no-cache-dir build
WORKDIR /source
COPY . .
# The same wheel as `make wheel` builds; without a registry of npm only `seewhy site` is missing from it.
RUN python -m build --wheel --outdir /wheels

FROM python:3.11-slim
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(echo /wheels/*.whl)[demo,web]" && rm -r /wheels \
    && useradd --create-home --uid 10001 seewhy
USER seewhy
WORKDIR /home/seewhy
EXPOSE 8000
# It listens on all addresses of the container; which of the machine's reach it is said by `docker run -p`.
ENTRYPOINT ["seewhy", "serve", "--host", "0.0.0.0", "--port", "8000"]
