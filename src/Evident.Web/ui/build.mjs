// Bundles src/ into dist/: one script, one style sheet, one icon, each named by its content, and a manifest that says
// how to serve every file. The same sources give the same bytes; nothing here reads the clock or the network.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = join(here, 'dist');
const limitGzippedScript = 60_000;

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });

const bundle = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx', page: 'src/page.css' },
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  charset: 'utf8',
  legalComments: 'none',
  write: false,
  outdir: out,
  logLevel: 'warning',
});

const files = [];
function emit(path, bytes) {
  const br = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  const gz = gzipSync(bytes, { level: 9 });
  writeFileSync(join(out, path), bytes);
  writeFileSync(join(out, `${path}.br`), br);
  writeFileSync(join(out, `${path}.gz`), gz);
  files.push({
    path: `/${path === 'index.html' ? '' : path}`,
    file: path,
    type: types[extname(path)],
    immutable: path !== 'index.html',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
    br: br.length,
    gz: gz.length,
  });
  return `/${path}`;
}
function emitNamedByContent(name, extension, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  return emit(`assets/${name}-${hash}${extension}`, bytes);
}

const text = (extension) => {
  const found = bundle.outputFiles.filter((f) => f.path.endsWith(extension));
  if (found.length !== 1) throw new Error(`expected one ${extension} from esbuild, got ${found.length}`);
  return Buffer.from(found[0].contents);
};
const links = {
  script: emitNamedByContent('app', '.js', text('.js')),
  style: emitNamedByContent('page', '.css', text('.css')),
  icon: emitNamedByContent('icon', '.svg', readFileSync(join(here, 'src/icon.svg'))),
  licenses: emitNamedByContent('licenses', '.txt', readFileSync(join(here, 'node_modules/preact/LICENSE'))),
};
const html = readFileSync(join(here, 'src/index.html'), 'utf8').replace(/%(\w+)%/g, (whole, name) => links[name] ?? whole);
if (/%\w+%/.test(html)) throw new Error(`src/index.html asks for something the build does not make: ${html.match(/%\w+%/)[0]}`);
emit('index.html', Buffer.from(html));

writeFileSync(join(out, 'manifest.json'), `${JSON.stringify({ version: 1, files }, null, 2)}\n`);
for (const f of files) console.log(`${f.file.padEnd(34)} ${String(f.bytes).padStart(7)} B  gz ${String(f.gz).padStart(6)}  br ${String(f.br).padStart(6)}`);
const script = files.find((f) => f.file.endsWith('.js'));
if (script.gz > limitGzippedScript) throw new Error(`the script is ${script.gz} B gzipped, the limit is ${limitGzippedScript} B`);
