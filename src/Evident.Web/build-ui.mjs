// Called by Evident.Web.csproj: node build-ui.mjs UI-DIRECTORY OUTPUT-DIRECTORY
// Installs and bundles the web view when its inputs changed, then copies dist/ to OUTPUT-DIRECTORY and stamps it. Several builds
// may call this at once (other artifacts paths): a lock directory lets one at a time near node_modules/ and dist/.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const [ui, out] = process.argv.slice(2);
if (!ui || !out) throw new Error('usage: node build-ui.mjs UI-DIRECTORY OUTPUT-DIRECTORY');
if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`error EVIDENT001: the web view needs Node.js 20 or newer, this is ${process.version}`);
  process.exit(1);
}

const lock = join(ui, '.build-lock');
const owner = join(lock, 'pid');
const patienceMs = 10 * 60_000;

function alive(pid) {
  try { process.kill(pid, 0); return true; } catch (e) { return e.code === 'EPERM'; }
}

function isStale() {
  try {
    const pid = Number(readFileSync(owner, 'utf8'));
    return !Number.isInteger(pid) || pid <= 0 || !alive(pid);
  } catch {
    // Between mkdir and the pid file, or a build that died there: stale only when old.
    try { return Date.now() - statSync(lock).mtimeMs > 10_000; } catch { return false; }
  }
}

function takeLock() {
  const started = Date.now();
  for (;;) {
    try {
      mkdirSync(lock);
      writeFileSync(owner, String(process.pid));
      return;
    } catch (e) {
      if (e.code !== 'EEXIST') throw e;
    }
    if (isStale()) { rmSync(lock, { recursive: true, force: true }); continue; }
    if (Date.now() - started > patienceMs) throw new Error(`another build has held ${lock} for ten minutes; remove it if that build is gone`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
}

function run(...args) {
  const windows = process.platform === 'win32';
  const done = spawnSync('npm', args, { cwd: ui, stdio: ['ignore', 'inherit', 'inherit'], shell: windows });
  if (done.error) throw new Error(`npm cannot be started (${done.error.code}); install it beside Node.js (Debian: apt-get install npm)`);
  if (done.status !== 0) {
    console.error(`error EVIDENT003: 'npm ${args.join(' ')}' failed in ${ui} with exit code ${done.status}`);
    process.exitCode = 1;
    throw undefined;
  }
}

function filesOf(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => filesOf(join(path, name)));
}

function digest(paths) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap((p) => filesOf(join(ui, p)))) {
    hash.update(relative(ui, file).replaceAll('\\', '/')).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

takeLock();
try {
  const modules = join(ui, 'node_modules');
  const installedMark = join(modules, '.evident-installed');
  const lockDigest = digest(['package.json', 'package-lock.json']);
  if (read(installedMark) !== lockDigest) {
    run('ci');
    writeFileSync(installedMark, lockDigest);
  }

  const dist = join(ui, 'dist');
  const builtMark = join(modules, '.evident-built');
  const sourceDigest = digest(['package-lock.json', 'build.mjs', 'tsconfig.json', 'src']);
  const distDigest = () => digest(['dist']);
  if (read(builtMark) !== `${sourceDigest} ${distDigest()}`) {
    run('run', 'build');
    writeFileSync(builtMark, `${sourceDigest} ${distDigest()}`);
  }

  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  cpSync(dist, out, { recursive: true });
  writeFileSync(join(out, '.stamp'), sourceDigest);
} catch (e) {
  if (e !== undefined) console.error(`error EVIDENT003: ${e.message}`);
  process.exitCode = 1;
} finally {
  rmSync(lock, { recursive: true, force: true });
}
