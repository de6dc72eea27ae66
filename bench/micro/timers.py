"""The timer wheel. Budget: 15 ns to arm and disarm."""

from bench.micro.timing import compiled, report

SOURCE = """
from libc.stdint cimport uint64_t
from gateway._fast.timers cimport TICK_NS, Timed, Wheel, monotonic_ns

cdef class Counted(Timed):
    cdef uint64_t fired
    cdef void on_deadline(self, uint64_t now_ns):
        self.fired += 1

cdef Wheel filled(uint64_t timers, list keep):
    cdef Wheel wheel = Wheel(10**15)
    cdef uint64_t index
    cdef Counted timed
    for index in range(timers):
        timed = Counted()
        keep.append(timed)
        wheel.arm(timed, wheel.now_ns + <uint64_t>30_000_000_000 + index * 1_000_000)
    return wheel

def arm_disarm(uint64_t operations, uint64_t timers):
    cdef list keep = []
    cdef Wheel wheel = filled(timers, keep)
    cdef Counted timed = Counted()
    cdef uint64_t index
    for index in range(operations):
        wheel.arm(timed, wheel.now_ns + <uint64_t>(index & 63) * 500_000_000)
        wheel.disarm(timed)

def rearm(uint64_t operations):
    cdef list keep = []
    cdef Wheel wheel = filled(10_000, keep)
    cdef uint64_t index
    for index in range(operations):
        wheel.arm(keep[index % 10_000], wheel.now_ns + <uint64_t>(index & 63) * 500_000_000)

def fire(uint64_t operations):
    cdef list keep = []
    cdef Wheel wheel = filled(operations, keep)
    wheel.advance(wheel.now_ns + <uint64_t>3_600_000_000_000)
    assert wheel.armed == 0

def idle_ticks(uint64_t operations):
    cdef list keep = []
    cdef Wheel wheel = filled(1, keep)
    cdef uint64_t index
    for index in range(operations):
        wheel.advance(wheel.now_ns + TICK_NS)

def clock(uint64_t operations):
    cdef uint64_t index, sum = 0
    for index in range(operations):
        sum += monotonic_ns()
    return sum
"""

if __name__ == "__main__":
    module = compiled("bench_timers", SOURCE)
    report("timers/arm_disarm", lambda n: module.arm_disarm(n, 0), 5_000_000)
    report("timers/arm_disarm_10000_armed", lambda n: module.arm_disarm(n, 10_000), 5_000_000)
    report("timers/rearm_one_of_10000", module.rearm, 5_000_000)
    report("timers/make_arm_fire", module.fire, 100_000)
    report("timers/idle_tick", module.idle_ticks, 2_000)
    report("timers/monotonic_ns", module.clock, 2_000_000)
