//! One example of every event of a run, as the golden files hold it, with every optional there.

use crate::given::{NOW, boot, key, run, step};
use crate::key_ring::MODEL;
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Shape;
use claviger_domain::id::ContextTag;
use claviger_domain::orchestration::{
    Agent, AgentRole, Asked, AttemptFailed, AttemptStarted, Because, Block, Cancelled, Claimed,
    Completed, Considered, Cost, Credential, CredentialSource, Definition, Done, Failed,
    FailureClass, Fallback, FellBack, Given, Halted, Kept, Next, Pattern, PauseReason, Paused,
    Planned, PlannedStep, Purpose, Reply, Requested, Resolution, Resumed, RunControlEvent,
    RunEvent, RunOnly, SkipReason, Skipped, SpokenOf, Stalled, StopReason, Trouble, Usage, Why,
    Work,
};

pub(crate) const CREDENTIAL: fn() -> Credential = || Credential {
    source: CredentialSource::DefaultKey,
    key: Some(key(2)),
    secret_version: Some(3),
};

fn resolution() -> Resolution {
    let considered = [
        (CredentialSource::DefaultKey, Some(key(1)), Why::Expired { at: NOW }),
        (CredentialSource::DefaultKey, Some(key(2)), Why::Chosen),
        (CredentialSource::EnvAnthropicApiKey, None, Why::NotNeeded),
    ];
    Resolution {
        considered: considered.map(|(source, key, why)| Considered { source, key, why }).to_vec(),
    }
}

const USAGE: Usage =
    Usage { input: 812, output: 344, cache_write_5m: 20, cache_write_1h: 30, cache_read: 40 };

fn definition() -> Definition {
    let agent = Agent {
        name: "Wörter".to_owned(),
        system_prompt: "You count \"words\".".to_owned(),
        role: AgentRole::Specialist,
        model: Some(MODEL.to_owned()),
        max_tokens: Some(512),
    };
    let task = vec![
        Block::Text { text: "Zähle.".to_owned() },
        Block::Image { media_type: "image/png".to_owned(), data: "iVBORw0K".to_owned() },
    ];
    Definition { agents: vec![agent], work: Work::Sequential { task, sequence: vec![0, 0] } }
}

fn requested() -> Requested {
    Requested {
        run: run(1),
        pattern: Pattern::Sequential,
        agents: 1,
        model: MODEL.to_owned(),
        max_tokens: 16_384,
        max_concurrency: 4,
        max_attempts: 3,
        price_table: "2026-11-01".to_owned(),
        renderer: 1,
        context_tag: ContextTag([0xa0; 16]),
        named_key: Some(key(2)),
        resolution: resolution(),
    }
}

fn planned() -> PlannedStep {
    PlannedStep {
        step: step(1),
        agent: Some(0),
        role: AgentRole::Specialist,
        purpose: Purpose::Turn,
        round: Some(2),
        item: 1,
        model: MODEL.to_owned(),
        max_tokens: 512,
    }
}

fn attempts(run: claviger_domain::id::RunId) -> [RunEvent; 3] {
    let (prev_d, step, credential) = (7, step(1), CREDENTIAL());
    let model = || MODEL.to_owned();
    let upstream_request_id = || Some("req_011CTvQ8nWc4kB2yJxRmDf3a".to_owned());
    let started = AttemptStarted {
        run,
        prev_d,
        step,
        attempt: 1,
        credential,
        model: model(),
        request_hash: "0c".repeat(32),
    };
    let failed = AttemptFailed {
        run,
        prev_d,
        step,
        attempt: 1,
        credential,
        model: model(),
        pattern: Pattern::Hierarchical,
        class: FailureClass::RateLimit,
        status: Some(429),
        partial_bytes: 12,
        usage: USAGE,
        cost: Cost(Some(2_345_000)),
        maybe_billed: true,
        next: Next::Retry { at: NOW },
        until: Some(NOW),
    };
    let completed = Completed {
        run,
        prev_d,
        step,
        attempt: 2,
        credential,
        model: model(),
        pattern: Pattern::Hierarchical,
        stop_reason: StopReason::EndTurn,
        usage: USAGE,
        cost: Cost(Some(2_345_000)),
        first_token_ms: Some(210),
        duration_ms: 1_830,
    };
    let trouble =
        Trouble { message: "too fast".to_owned(), upstream_request_id: upstream_request_id() };
    let reply =
        Reply { text: "Zwei Wörter.".to_owned(), upstream_request_id: upstream_request_id() };
    [
        RunEvent::StepAttemptStarted(started),
        RunEvent::StepAttemptFailed(failed, Some(trouble)),
        RunEvent::StepCompleted(completed, Some(reply)),
    ]
}

pub(crate) fn run_events() -> Vec<RunEvent> {
    let (run, prev_d, step, control) = (run(1), 7, step(1), 2);
    let asked = Asked {
        title: Some("Zählung".to_owned()),
        context: "default".to_owned(),
        definition: definition(),
    };
    let kept = vec![Kept { step, attempt: 1, bytes: 12 }];
    let [started, failed, completed] = attempts(run);
    let fell_back = FellBack { run, prev_d, step, fallback: Fallback::UnknownWorker };
    vec![
        RunEvent::RunRequested(requested(), Some(asked)),
        RunEvent::RunClaimed(Claimed { run, prev_d, epoch: 2, owner: boot(1), kept }),
        RunEvent::StepsPlanned(Planned { run, prev_d, steps: vec![planned()] }),
        started,
        failed,
        completed,
        RunEvent::StepSkipped(Skipped { run, prev_d, step, reason: SkipReason::RunFailed }),
        RunEvent::FallbackApplied(fell_back, Some(SpokenOf { name: "Nobody".to_owned() })),
        RunEvent::RunPaused(Paused { run, prev_d, reason: PauseReason::SpendLimit, control }),
        RunEvent::RunHalted(Halted { run, prev_d, step, crashes: 3, control }),
        RunEvent::RunStalled(Stalled {
            run,
            prev_d,
            step,
            reason: PauseReason::Credit,
            until: Some(NOW),
            control,
        }),
        RunEvent::PartsGiven(Given { run, prev_d, step }),
        RunEvent::RunResumed(Resumed { run, prev_d, control, resolution: resolution() }),
        RunEvent::RunCancelled(Cancelled { run, prev_d, control }),
        RunEvent::RunCompleted(Done { run, prev_d }),
        RunEvent::RunFailed(
            Failed { run, prev_d, code: ErrorCode::KeyUnavailable, step: Some(step) },
            Some(Because { message: "the agent \"Wörter\" came to nothing".to_owned() }),
        ),
    ]
}

/// Each event that an older schema becomes.
pub(crate) fn older_run_events() -> Vec<(Shape, RunEvent)> {
    let [_, failed, _] = attempts(run(1));
    let RunEvent::StepAttemptFailed(facts, trouble) = failed else { panic!("{failed:?}") };
    let facts = AttemptFailed { until: None, ..facts };
    vec![(("StepAttemptFailed", 1), RunEvent::StepAttemptFailed(facts, trouble))]
}

pub(crate) fn run_control_events() -> Vec<RunControlEvent> {
    let facts = || RunOnly { run: run(1) };
    vec![
        RunControlEvent::CancelRequested(facts()),
        RunControlEvent::PauseRequested(facts()),
        RunControlEvent::ResumeRequested(facts()),
    ]
}
