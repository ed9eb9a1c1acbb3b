//! What is asked of the server, in its contract's words.

/// A step as the screen shows it.
macro_rules! step {
    () => {
        "fragment S on Step { id agent purpose round state attempt output \
            usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } \
            durationMs error { code message } } "
    };
}

/// A run as the screen shows it.
macro_rules! run {
    () => {
        "fragment R on Orchestration { id pattern state title output error { code message } \
            usage { inputTokens outputTokens cacheCreationInputTokens cacheReadInputTokens } costNanoUsd durationMs \
            steps { ...S } } "
    };
}

/// A run's feed.
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

/// A run as it stands, with what `show` prints beside.
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

/// Starts a run.
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

/// Stops a run for good.
pub(super) const CANCEL: &str = ask!("cancelOrchestration");

/// Lets a run stand still.
pub(super) const PAUSE: &str = ask!("pauseOrchestration");

/// Lets a run go on.
pub(super) const RESUME: &str = ask!("resumeOrchestration");
