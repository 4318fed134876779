// The benchmark's Node side: child_process. One request a line on stdin, one answer a line on stdout.
const { spawn, execFile } = require('node:child_process');
const readline = require('node:readline');

const SOON_MS = 1;
const now = () => Number(process.hrtime.bigint());

const exited = (child) => new Promise((resolve, reject) => {
  child.on('error', reject);
  child.on('exit', (code) => resolve(code));
});

async function spawnWait(program) {
  const begin = now();
  const code = await exited(spawn(program, { stdio: 'inherit' }));
  return [code, now() - begin];
}

function output(program) {
  const begin = now();
  return new Promise((resolve) => {
    execFile(program, { encoding: 'buffer' }, (error, out, err) => {
      resolve([error || out.length !== 24 || err.length !== 24 ? 1 : 0, now() - begin]);
    });
  });
}

async function wake(program) {
  const child = spawn(program, { stdio: 'ignore' });
  let killed = 0;
  setTimeout(() => {
    killed = now();
    process.kill(child.pid, 'SIGKILL');
  }, SOON_MS);
  await exited(child);
  return [0, now() - killed];
}

async function turn(operation, program, count, budgetUs) {
  await operation(program);
  const begin = now();
  const samples = [];
  while (samples.length < count && (now() - begin) / 1000 < budgetUs) {
    const [code, took] = await operation(program);
    if (code !== 0) throw new Error('the child failed');
    samples.push(took);
  }
  return samples;
}

async function inflight(program, total, width) {
  const worker = async () => {
    for (let done = 0; done < Math.floor(total / width); done++) {
      if (await exited(spawn(program, { stdio: 'inherit' })) !== 0) throw new Error('the child failed');
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return [];
}

const operations = { 'spawn-wait': spawnWait, output, wake };

async function main() {
  process.stdout.write(`child_process of Node ${process.version.slice(1)}\n`);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, program, first, second] = line.split('\t');
    try {
      const samples = name === 'inflight'
        ? await inflight(program, Number(first), Number(second))
        : await turn(operations[name], program, Number(first), Number(second));
      process.stdout.write(['ok', ...samples].join(' ') + '\n');
    } catch (error) {
      process.stdout.write(`error ${error}\n`);
    }
  }
}

main();
