//! What the operating system knows of a process: its CPU time to the nanosecond, its memory, the core it runs on, and
//! what else that core did.

mod affinity;
mod core_time;
mod cpu_time;
mod memory;

pub(crate) use affinity::{Placement, available_cores, pin_process, spawn_on};
pub(crate) use core_time::CoreTime;
pub(crate) use cpu_time::CpuClock;
pub(crate) use memory::Memory;
