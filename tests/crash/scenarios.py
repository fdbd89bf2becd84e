"""The runs of the crash tests. Each returns rows of the table; a row whose verdict has a violation
has failed. All of them are bounded in emails and in time."""

import atexit
import signal
import threading
import time
from dataclasses import dataclass

# First: it says where the integration tests' modules are.
from world import World, now_ms  # isort: skip
import support
from checker import Verdict
from postgres import Postgres

# In the order in which an execution comes by them: see transport/base/failpoint.h.
FAILPOINTS = ("begin", "reserved", "before_gate", "gated", "end_sent", "verdict", "settled")

# Between two kills of one replica, counted from when it was ready again, in seconds.
SHORTEST, LONGEST = 0.03, 0.3


@dataclass
class Row:
    name: str
    verdict: Verdict
    seconds: float
    seed: int

    HEAD = (f"{'run':34} {'kills':>6} {'keys':>7} {'calls':>7} {'accepted':>8} {'duplicates':>10} "
            f"{'lost':>5} {'other':>5} {'uncertain':>9} {'seconds':>7}")

    def __str__(self):
        v = self.verdict
        return (f"{self.name:34} {v.kills:6} {v.keys:7} {v.sends:7} {v.accepted:8} "
                f"{v.duplicates:10} {v.lost:5} {v.others:5} {v.uncertain:9} {self.seconds:7.1f}")

    def complaint(self):
        """Empty: there is none."""
        return "\n".join(f"{kind}: {key} (seed {self.seed}): {text}"
                         for kind, key, text in self.verdict.violations)


def _name_of(ledger):
    return ledger if isinstance(ledger, str) else "postgres"


def _in_threads(functions):
    """Runs them at once; raises what the first that failed raised."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:  # handed to the caller
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def random_kills(ledger, kills, seed, replicas=3, callers=16):
    """kill -9 of random replicas at random times under load, `kills` of them in all."""
    name = f"random kills, {_name_of(ledger)}"
    world = World(name, seed, ledger, replicas, callers)
    world.start()
    world.engine.feed(world.mixed(kills * 500))
    left = [kills]
    lock = threading.Lock()
    pauses = [[world.random.uniform(SHORTEST, LONGEST) for _ in range(kills)]
              for _ in world.replicas]

    def killer(target):
        for pause in pauses[target]:
            with lock:
                if left[0] == 0:
                    return
                left[0] -= 1
            time.sleep(pause)  # the random time of the kill
            world.kill(target)
            world.replicas[target].start()

    _in_threads([lambda t=t: killer(t) for t in range(replicas)])
    assert not world.engine.fed(), "the emails ended before the kills"
    world.engine.stop_feeding()
    verdict, seconds = world.finish()
    return [Row(name, verdict, seconds, seed)]


def failpoints(ledger, times, seed):
    """Each failpoint kills `times` times: a server for each, called by one caller, so that it is
    known whom a crash hit, and what has to become of it. At PostgreSQL they share the ledger."""
    rows = {}

    def lane(failpoint):
        name = f"{failpoint}, {_name_of(ledger)}"
        world = World(name, seed, ledger, callers=1, delay_ms=2,
                      binary="sendstepd_crash", timing=("1s", "1s"))
        world.start([f"{failpoint}:{world.random.randint(1, 3)}"])
        world.engine.feed(world.email(n, "ok") for n in range(times * 10))
        replica = world.replicas[0]
        for left in reversed(range(times)):
            at = replica.wait_for_death()
            replica.reap()
            world.killed(0, at, failpoint)
            replica.start(f"{failpoint}:{world.random.randint(1, 3)}" if left else None)
        world.engine.stop_feeding()
        verdict, seconds = world.finish(alone=True)
        rows[failpoint] = Row(name, verdict, seconds, seed)

    _in_threads([lambda f=f: lane(f) for f in FAILPOINTS])
    return [rows[failpoint] for failpoint in FAILPOINTS]


def race(keys, restarts, seed, postgres, callers=64, replicas=3, repeats=2):
    """Every key is called `repeats` times on each of the replicas, all at once, by `callers` for
    each replica; the database is killed and started again `restarts` times meanwhile."""
    # A lease that no pause of a busy machine reaches: nobody is killed but the database.
    world = World("race, postgres", seed, postgres, replicas, callers * replicas, delay_ms=5,
                  timing=("10s", "10s"), deadline=60)
    world.start()
    reached = threading.Semaphore(0)
    marks = {keys * (i + 1) // (restarts + 1) for i in range(restarts)}

    def emails():
        for number in range(keys):
            words = world.random.choice((("ok",), ("ok",), ("ok", "ok")))
            calls = [world.email(number, *words, target=t) for t in range(replicas)] * repeats
            world.random.shuffle(calls)
            yield from calls
            if number in marks:
                reached.release()

    world.engine.feed(emails())
    for _ in range(restarts):
        reached.acquire()
        at = now_ms()
        postgres.crash()
        postgres.start()
        world.killed(None, at)
    verdict, seconds = world.finish(patience=3600)
    return [Row(world.name, verdict, seconds, seed)]


def pause(rounds, seed, postgres, failpoint="before_gate"):
    """An owner is stopped past its lease, another replica takes over and delivers, the first goes
    on: one delivery."""
    world = World(f"pause at {failpoint}, postgres", seed, postgres, replicas=2, callers=2,
                  binary="sendstepd_crash")
    world.start([f"{failpoint}:1:stop"])
    owner = world.replicas[0]
    for number in range(rounds):
        if number:
            owner.stop()
            owner.start(f"{failpoint}:1:stop")
        world.engine.give(world.email(number, "ok", target=0))
        support.until(owner.stopped, f"{owner.folder.name} stopped at {failpoint}")
        at = now_ms()
        world.engine.give(world.email(number, "ok", target=1))
        support.until(lambda n=number: _finals(world, n, 1), "another replica takes over")
        owner.process.send_signal(signal.SIGCONT)
        support.until(lambda n=number: _finals(world, n, 0), "the paused owner's caller hears")
        world.killed(0, at, failpoint, paused=True)
    verdict, seconds = world.finish(alone=True)
    return [Row(world.name, verdict, seconds, seed)]


def _finals(world, number, target):
    """Final answers of a server about one email."""
    key = world.email(number)["key"]
    return [call for call in world.engine.calls()
            if call["key"] == key and call["target"] == target and call["final"]]


_database = None


def database():
    """The program's PostgreSQL server, started when it is first asked for."""
    global _database
    if _database is None:
        _database = Postgres()
        atexit.register(_database.stop)
    return _database
