# syntax=docker/dockerfile:1
#
# The image of Tripline, built from this checkout: docker build -t tripline .
# Another base, such as one from your own registry: --build-arg NODE_IMAGE=registry.example/node:26-slim
# Packages from your own npm registry: --secret id=npmrc,src=$HOME/.npmrc
# docs/deploy.md says how to run it.

ARG NODE_IMAGE=docker.io/library/node:26.10.0-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No package's own scripts run: none is needed to compile.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# What npm would publish, no more.
RUN npm pack --pack-destination /tmp \
  && mkdir -p /opt/tripline \
  && tar -xzf /tmp/*.tgz --strip-components=1 -C /opt/tripline
WORKDIR /opt/tripline
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc cp /build/package-lock.json . \
  && npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  # The OpenTelemetry SDK, at the version of the lock file: the image has no npm to add it later.
  && npm install --no-save --save-prod --omit=dev --ignore-scripts --no-audit --no-fund \
    "@opentelemetry/sdk-node@$(node -p 'require("./package-lock.json").packages["node_modules/@opentelemetry/sdk-node"].version')" \
  && rm package-lock.json \
  && chmod 755 "$(node -p 'require("./package.json").bin.tripline')"

FROM ${NODE_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tripline" \
  org.opencontainers.image.description="A self-hosted reactive automations engine" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
# A port that is set makes every role listen, so that each process can be asked for its health.
ENV NODE_ENV=production \
  TRIPLINE_HOST=0.0.0.0 \
  TRIPLINE_PORT=4200
COPY --from=build /opt/tripline /opt/tripline
# Package managers have no business in a server.
RUN ln -s "/opt/tripline/$(node -p 'require("/opt/tripline/package.json").bin.tripline')" /usr/local/bin/tripline \
  && rm -rf /usr/local/lib/node_modules /opt/yarn-* \
    /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
  && install -d -o 1000 -g 1000 /data
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
# The history is in .tripline/history.sqlite below this, unless TRIPLINE_HISTORY_URL says otherwise.
WORKDIR /data
VOLUME /data
EXPOSE 4200
# `serve` handles SIGTERM itself and starts no processes, so it needs no init in front of it.
ENTRYPOINT ["tripline"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TRIPLINE_PORT}/api/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
