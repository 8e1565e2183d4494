"""Who writes snapshots when several want to."""

import asyncio
from typing import Any, cast

from tiercel.processors.adopt import Adoption
from tiercel.processors.custody import Custody
from tiercel.processors.keeper import Kept, Written
from tiercel.processors.worker import Worker

from .test_snapshot import RAW, message


def test_two_that_choose_the_same_host_write_it_once_and_neither_fails() -> None:
    worker, acknowledged, sent = Worker(None), list[Any](), list[bytes]()
    worker.begin(0)
    custody = Custody({}, worker, cast("Adoption", None), group="g", raw_id=RAW, interval=1.0, ack=acknowledged.append)
    kept = custody.kept[0] = Kept(worker, 0, RAW, Written())
    worker.handle(0, 0, b"web1", message(100))
    kept.handled(0, "first", 0.0).safe = True

    async def send(key: bytes, value: bytes | None, partition: int) -> asyncio.Future[None]:
        await asyncio.sleep(0.01)
        sent.append(key)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def both() -> None:
        await asyncio.gather(custody.one(send), custody.one(send), custody.last(send, 5.0))

    asyncio.run(both())
    assert len(sent) == len(set(sent)) > 0
    assert (acknowledged, kept.waiting()) == (["first"], 0)
