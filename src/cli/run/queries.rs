//! The GraphQL documents sent to the server.

/// The fields of a step that the screen shows.
macro_rules! step {
    () => {
        "fragment S on Step { id agent purpose round state attempt output \
            usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } \
            durationMs error { code message } waiting { since until reason message } fallback } "
    };
}

/// The fields of a run that the screen shows.
macro_rules! run {
    () => {
        "fragment R on Orchestration { id pattern state title output error { code message } waiting { since until reason message } \
            usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } costNanoUsd durationMs \
            steps { ...S } } "
    };
}

pub(in crate::cli) const FOLLOW: &str = concat!(
    step!(),
    run!(),
    "subscription($id: ID!, $after: Cursor) { orchestration(id: $id, after: $after) { __typename \
        ... on Snapshot { cursor orchestration { ...R } partial { stepId attempt text } } \
        ... on EventMessage { cursor event { type at facts } step { ...S } } \
        ... on TextDelta { cursor stepId attempt agent offset text } \
        ... on AttemptSuperseded { cursor stepId attempt keepBytes reason } \
        ... on GapMarker { cursor steps { stepId attempt text } } \
        ... on Terminal { cursor state orchestration { ...R } } } }"
);

/// The current state of a run, with the additional fields that `show` prints.
pub(super) const SHOW: &str = concat!(
    step!(),
    run!(),
    "query($id: ID!) { orchestration(id: $id) { ...R createdAt startedAt finishedAt result \
        resolution { chosen { source reason } } } }"
);

/// Runs, newest first.
pub(super) const LIST: &str = "query($first: Int, $after: Cursor, $state: [OrchestrationState!], $pattern: [Pattern!]) { viewer { \
    orchestrations(first: $first, after: $after, state: $state, pattern: $pattern) { \
    nodes { id pattern state title createdAt durationMs costNanoUsd \
    usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } error { code message } } \
    pageInfo { hasNextPage endCursor } } } }";

/// The user's keys, to find one by its name.
pub(super) const KEYS: &str = "query($after: Cursor) { viewer { keys(first: 100, after: $after) { nodes { id name } \
    pageInfo { hasNextPage endCursor } } } }";

macro_rules! user_errors {
    () => {
        "userErrors { code message ... on CredentialError { candidates { source reason } } } } }"
    };
}

pub(in crate::cli) const START: &str = concat!(
    "mutation($input: StartOrchestrationInput!) { startOrchestration(input: $input) { orchestration { id } ",
    "commit { position replayed } ",
    user_errors!()
);

macro_rules! ask {
    ($mutation:literal) => {
        concat!(
            "mutation($input: OrchestrationInput!) { asked: ",
            $mutation,
            "(input: $input) { orchestration { id state } commit { position replayed } ",
            user_errors!()
        )
    };
}

pub(super) const CANCEL: &str = ask!("cancelOrchestration");

pub(super) const PAUSE: &str = ask!("pauseOrchestration");

pub(super) const RESUME: &str = ask!("resumeOrchestration");
