"""The queue of a route. Budget: 100 ns to come, wait and go."""

from bench.micro.timing import compiled, report

SOURCE = """
from libc.stdint cimport uint64_t
from gateway._fast.queue cimport Queue, Ticket, Waiter

cdef uint64_t NOW_NS = 1_000_000_000_000_000
cdef uint64_t SECOND_NS = 1_000_000_000

cdef Queue filled(int length, int maximum, bint codel):
    cdef Queue queue = Queue(maximum, 2 * SECOND_NS, SECOND_NS // 10 if codel else 0, SECOND_NS)
    for index in range(length):
        queue.push(Ticket(index % 8), NOW_NS)
    return queue

def push_pop(uint64_t operations, int length, int maximum, bint codel):
    cdef Queue queue = filled(length, maximum, codel)
    cdef Waiter waiter = Ticket(3)
    cdef uint64_t turn
    for turn in range(operations):
        queue.push(waiter, NOW_NS)
        waiter = queue.pop(NOW_NS)
        waiter.wait_until_ns = 0

def push_remove(uint64_t operations, int length):
    cdef Queue queue = filled(length, 2 * length + 2, False)
    cdef Waiter waiter = Ticket(3)
    cdef uint64_t turn
    for turn in range(operations):
        queue.push(waiter, NOW_NS)
        queue.remove(waiter)
        waiter.wait_until_ns = 0

def can_make(uint64_t operations):
    cdef Queue queue = filled(500, 1000, False)
    cdef uint64_t turn, made = 0
    queue.on_served(SECOND_NS // 10, 64)
    for turn in range(operations):
        made += queue.can_make(3, NOW_NS + SECOND_NS, NOW_NS + turn)
    return made
"""

if __name__ == "__main__":
    module = compiled("bench_queue", SOURCE)
    report("queue/push_pop_empty", lambda n: module.push_pop(n, 0, 1000, True), 2_000_000)
    report("queue/push_pop_fifo_400", lambda n: module.push_pop(n, 400, 1000, True), 2_000_000)
    report("queue/push_pop_lifo_900", lambda n: module.push_pop(n, 900, 1000, True), 2_000_000)
    report("queue/push_remove_400", lambda n: module.push_remove(n, 400), 2_000_000)
    report("queue/can_make", module.can_make, 2_000_000)
