# The benchmark's Python side: asyncio.create_subprocess_exec. One request a line on stdin, one answer a line on stdout.
import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE

SOON = 0.0003


async def spawn_wait(program):
    begin = time.perf_counter_ns()
    child = await asyncio.create_subprocess_exec(program)
    code = await child.wait()
    return code, time.perf_counter_ns() - begin


async def output(program):
    begin = time.perf_counter_ns()
    child = await asyncio.create_subprocess_exec(program, stdout=PIPE, stderr=PIPE)
    out, err = await child.communicate()
    took = time.perf_counter_ns() - begin
    return (child.returncode if len(out) == len(err) == 24 else 1), took


async def wake(program):
    child = await asyncio.create_subprocess_exec(program)
    killed = []

    def kill():
        killed.append(time.perf_counter_ns())
        os.kill(child.pid, signal.SIGKILL)

    asyncio.get_running_loop().call_later(SOON, kill)
    await child.wait()
    return 0, time.perf_counter_ns() - killed[0]


async def turn(operation, program, count, budget_us):
    await operation(program)
    begin, samples = time.perf_counter_ns(), []
    while len(samples) < count and (time.perf_counter_ns() - begin) / 1000 < budget_us:
        code, took = await operation(program)
        if code != 0:
            raise OSError("the child failed")
        samples.append(took)
    return samples


async def inflight(program, total, width):
    async def worker():
        for _ in range(total // width):
            child = await asyncio.create_subprocess_exec(program)
            if await child.wait() != 0:
                raise OSError("the child failed")

    await asyncio.gather(*(worker() for _ in range(width)))
    return []


OPERATIONS = {"spawn-wait": spawn_wait, "output": output, "wake": wake}


async def answer(name, program, first, second):
    if name == "inflight":
        return await inflight(program, int(first), int(second))
    return await turn(OPERATIONS[name], program, int(first), int(second))


def main():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    print("asyncio of Python " + sys.version.split()[0], flush=True)
    for line in sys.stdin:
        try:
            samples = loop.run_until_complete(answer(*line.rstrip("\n").split("\t")))
            print("ok", *samples, flush=True)
        except Exception as error:
            print("error", repr(error), flush=True)


main()
