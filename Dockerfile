# The README's steps in an image: install, build, serve.
FROM node:22-slim
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY proto ./proto
COPY src ./src
COPY bin ./bin
COPY models ./models
# npm ci builds too; what only building needs is dropped afterwards.
RUN npm ci && npm prune --omit=dev --ignore-scripts && mkdir /data && chown node /data
USER node
VOLUME /data
EXPOSE 31226
ENV ANDTHEN_DATA_DIR=/data
ENTRYPOINT ["node", "bin/andthen"]
CMD ["serve", "--blocks", "all"]
