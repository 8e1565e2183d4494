# The image of worker and sink (and of a collector on hosts that run containers privileged). Two stages: build, then only the wheel.
FROM rust:1.91-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv clang llvm libbpf-dev bpftool make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make -C probe \
    && python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir "maturin>=1.9,<2" \
    && /venv/bin/maturin build --release --out /wheels

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libbpf1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/tiercel --create-home tiercel
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/tiercel-*.whl)[process,sink,forward]" fastavro && rm -r /wheels
USER tiercel
ENTRYPOINT ["tiercel"]
CMD ["--help"]
