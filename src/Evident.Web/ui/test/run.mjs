// Bundles every test/*.test.ts to a directory of its own under the system's temporary one and gives it to node's test runner.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'evident-ui-'));
try {
  const tests = readdirSync(here).filter((f) => f.endsWith('.test.ts'));
  await build({
    entryPoints: tests.map((t) => join(here, t)), outdir: out, outExtension: { '.js': '.mjs' }, bundle: true, platform: 'node', format: 'esm', target: 'node20',
    jsx: 'automatic', jsxImportSource: 'preact', sourcemap: 'inline', logLevel: 'warning',
  });
  const made = readdirSync(out).map((f) => join(out, f));
  process.exitCode = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...made], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
