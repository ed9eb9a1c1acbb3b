//! How often a call may be made again. The bounds are rules of the run, so they hold whichever
//! process works on it, and after any crash: they count what the log records.

use super::call::FailureClass;
use super::event::Next;
use super::step::Step;
use crate::timestamp::Timestamp;

/// Most attempts of a step since its run was last resumed, including those that don't count. Then the
/// run pauses, so that nothing is called without end unless somebody asks for it again.
pub const ATTEMPTS_MAX: u32 = 100;

/// Crashes of one step after which the run pauses, until a user resumes it. A process that shuts
/// down in order is no crash: it closes its calls itself.
pub const CRASHES_MAX: u32 = 3;

/// Answers of one step that the upstream may restart by itself, since the run was last resumed.
pub const RESTARTS_MAX: u32 = 10;

/// The pause before a step is called again after its second crash, in milliseconds. After the first
/// it is called at once: most crashes have nothing to do with the call.
const SECOND_CRASH_MS: u64 = 5_000;

/// What happens to a step whose attempt failed: what its caller decides, within the bounds.
pub(super) fn after_failure(step: &Step, class: FailureClass, next: Next) -> Next {
    let is_over = step.tried >= ATTEMPTS_MAX
        || (class == FailureClass::Restarted && step.restarts + 1 >= RESTARTS_MAX);
    match next {
        Next::Retry { .. } if is_over => Next::Pause,
        Next::Retry { .. } | Next::GiveUp | Next::Pause => next,
    }
}

/// What happens to a step whose process stopped before the end of its call, which is the step's
/// next crash.
pub(super) fn after_crash(step: &Step, now: Timestamp) -> Next {
    if step.tried >= ATTEMPTS_MAX {
        return Next::Pause;
    }
    match step.crashes + 1 {
        1 => Next::Retry { at: now },
        CRASHES_MAX.. => Next::Pause,
        _ => Next::Retry { at: now.plus_ms(SECOND_CRASH_MS) },
    }
}
