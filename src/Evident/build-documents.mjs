// Called by Evident.csproj: node build-documents.mjs OUTPUT-DIRECTORY FILE...
// Writes each file, compressed with Brotli, as OUTPUT-DIRECTORY/<its name>.br: the pages that every bundle carries, embedded small.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const [out, ...files] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
for (const file of files) {
  const plain = readFileSync(file);
  const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } };
  writeFileSync(join(out, basename(file) + '.br'), brotliCompressSync(plain, options));
}
