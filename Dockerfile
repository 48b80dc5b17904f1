# The one image of Cadre; the first argument says which process it is: operator, router, load or sidecar.
# Both images that it builds upon are arguments, so that a mirror, a digest or a machine without a registry can name others.
ARG BUILD=docker.io/library/node:24-trixie-slim
ARG BASE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD} AS build
WORKDIR /src
COPY . .
# No install scripts run. What is optional serves outside a cluster only: Node itself, and the reader of kubeconfigs.
RUN npm ci --ignore-scripts \
 && npx tsc -p tsconfig.build.json \
 && npm prune --ignore-scripts --omit=dev --omit=optional

FROM ${BASE}
WORKDIR /app
COPY --from=build /src/package.json /app/package.json
COPY --from=build /src/node_modules /app/node_modules
COPY --from=build /src/dist /app/dist
ENV NODE_ENV=production
USER 65532:65532
ENTRYPOINT ["/nodejs/bin/node", "--enable-source-maps", "/app/dist/cli/main.js"]
