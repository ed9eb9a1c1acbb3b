//! Ports in memory. They answer immediately, so a request is complete after one poll.

use super::story::{KEY, OWNER, Story};
use async_graphql::{Request, Response, Variables};
use claviger_application::*;
use claviger_domain::actor::{Role, Via};
use claviger_domain::failure::Failure;
use claviger_domain::id::*;
use claviger_domain::secret::SecretText;
use claviger_domain::text::*;
use claviger_domain::timestamp::Timestamp;
use claviger_graphql::answer::AnswerBudget;
use claviger_graphql::progress::Progress;
use claviger_projections::accounts::{AccountContent, AccountFacts, AccountView};
use claviger_projections::activity::KeyActivity;
use claviger_projections::keys::{KeyContent, KeyFacts, KeyView};
use claviger_projections::ports::{Direction, HistoryFilter, Page};
use claviger_projections::run_feed::FeedCursor;
use claviger_projections::runs::RunSummary;
use futures::{FutureExt as _, StreamExt as _, future, stream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use uuid::Uuid;

/// The stored stories, and a record of the calls to the ports.
#[derive(Default)]
pub(super) struct World {
    pub(super) stories: Vec<Story>,
    pub(super) listed: Vec<RunSummary>,
    pub(super) usage: Vec<UsageCell>,
    pub(super) activity: Option<KeyActivity>,
    pub(super) answer: Mutex<Option<Result<RunDone, Failure>>>,
    pub(super) commands: Mutex<Vec<(CommandContext, RunCommand)>>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl World {
    pub(super) fn of(story: Story) -> Self {
        Self { stories: vec![story], ..Self::default() }
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    /// How often a port was called in this way.
    pub(super) fn times(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(what)).count()
    }

    fn story(&self, user: UserId, run: RunId) -> Option<&Story> {
        self.stories.iter().find(|story| story.run == run && user == OWNER)
    }
}

fn ready<'a, T: Send + 'a>(answer: T) -> Answer<'a, T> {
    future::ready(Ok(answer)).boxed()
}

/// The ports that orchestrations do not use.
struct Unasked;

impl KeyCommands for Unasked {
    fn run(&self, _: CommandContext, _: KeyCommand) -> Answer<'_, KeyDone> {
        unreachable!()
    }
}

impl Credentials for Unasked {
    fn resolution(
        &self,
        _: UserId,
        _: BTreeSet<Role>,
        _: Context,
        _: Option<KeyId>,
    ) -> Answer<'_, Vec<Candidate>> {
        unreachable!()
    }
    fn models(&self) -> Answer<'_, Vec<ModelInfo>> {
        unreachable!()
    }
}

impl Feeds for Unasked {
    fn events(&self, _: UserId, _: Scope, _: Option<u64>) -> Answer<'_, EventFeed> {
        unreachable!()
    }
}

impl Accounts for Unasked {
    fn register(
        &self,
        _: RequestInfo,
        _: Username,
        _: Email,
        _: Password,
        _: Option<FullName>,
    ) -> Answer<'_, Tokens> {
        unreachable!()
    }
    fn login(&self, _: RequestInfo, _: String, _: SecretText) -> Answer<'_, Tokens> {
        unreachable!()
    }
    fn refresh(&self, _: RequestInfo, _: SecretText) -> Answer<'_, Tokens> {
        unreachable!()
    }
    fn logout(&self, _: RequestInfo, _: Principal) -> Answer<'_, ()> {
        unreachable!()
    }
    fn change_password(
        &self,
        _: RequestInfo,
        _: Principal,
        _: SecretText,
        _: Password,
    ) -> Answer<'_, Tokens> {
        unreachable!()
    }
    fn revoke_sessions(&self, _: RequestInfo, _: Principal) -> Answer<'_, ()> {
        unreachable!()
    }
    fn stream_ticket(&self, _: Principal) -> Answer<'_, StreamTicket> {
        unreachable!()
    }
}

impl Administration for Unasked {
    fn create(&self, _: CommandContext, _: NewAccount) -> Answer<'_, AccountChanged> {
        unreachable!()
    }
    fn change(
        &self,
        _: CommandContext,
        _: AccountChange,
        _: Option<u64>,
    ) -> Answer<'_, AccountChanged> {
        unreachable!()
    }
    fn reset_password(&self, _: RequestInfo, _: SecretText, _: Password) -> Answer<'_, Tokens> {
        unreachable!()
    }
    fn account(&self, _: UserId) -> Answer<'_, Option<AccountDetail>> {
        unreachable!()
    }
    fn accounts(&self, _: AccountFilter, _: Page) -> Answer<'_, AccountPage> {
        unreachable!()
    }
    fn holdings(&self, _: UserId) -> Answer<'_, Holdings> {
        unreachable!()
    }
    fn last_events(&self, _: UserId, _: bool) -> Answer<'_, Vec<(SessionId, EventView)>> {
        unreachable!()
    }
}

impl Reads for World {
    fn reach(&self, position: u64) -> Answer<'_, ()> {
        self.note(format!("reach {position}"));
        ready(())
    }
    fn head(&self) -> Answer<'_, u64> {
        unreachable!()
    }
    fn account(&self, _: UserId) -> Answer<'_, Option<AccountView>> {
        ready(Some(AccountView {
            facts: AccountFacts::default(),
            content: Some(AccountContent::default()),
        }))
    }
    fn activity(
        &self,
        _: UserId,
        key: KeyId,
        position: Option<u64>,
    ) -> Answer<'_, Option<KeyActivity>> {
        self.note(format!("activity {key} {position:?}"));
        ready(self.activity.clone())
    }
    fn keys(&self, _: UserId, _: Page) -> Answer<'_, KeyPage> {
        unreachable!()
    }
    fn key(&self, user: UserId, key: KeyId) -> Answer<'_, Option<KeyView>> {
        self.note(format!("key {key}"));
        let facts = KeyFacts {
            is_active: true,
            secret_version: 1,
            version: 1,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
            expires_at: None,
            default_tags: BTreeSet::new(),
            last_test: None,
        };
        let content = KeyContent { name: "mine".to_owned(), ..KeyContent::default() };
        ready((user == OWNER && key == KEY).then_some(KeyView {
            id: key,
            facts,
            content: Some(content),
        }))
    }
    fn default_key(&self, _: UserId, _: Context) -> Answer<'_, Option<KeyView>> {
        unreachable!()
    }
    fn history(
        &self,
        _: UserId,
        filter: HistoryFilter,
        _: Direction,
        _: usize,
    ) -> Answer<'_, Vec<EventView>> {
        self.note(format!("history {:?}", filter.subject));
        ready(Vec::new())
    }
    fn event(&self, _: UserId, _: EventId) -> Answer<'_, Option<EventView>> {
        unreachable!()
    }
    fn sessions(&self, _: UserId) -> Answer<'_, Vec<SessionView>> {
        unreachable!()
    }
}

impl RunCommands for World {
    fn run(&self, context: CommandContext, command: RunCommand) -> Answer<'_, RunDone> {
        assert_eq!(context.actor.user, Some(context.owner));
        self.commands.lock().unwrap().push((context, command));
        let answer = self.answer.lock().unwrap().take().expect("an answer for each command");
        future::ready(answer).boxed()
    }
}

impl RunReads for World {
    fn run(&self, user: UserId, run: RunId) -> Answer<'_, Option<RunDetail>> {
        self.note(format!("run {run}"));
        ready(self.story(user, run).map(|story| {
            let (feed, _) = story.feed(None);
            let (view, partial) =
                (feed.fold().view().as_ref().clone(), feed.fold().partial().to_vec());
            RunDetail { id: run, view, partial, cursor: feed.newest() }
        }))
    }
    fn runs(&self, _: UserId, filter: RunFilter, page: Page) -> Answer<'_, RunPage> {
        self.note(format!("runs {:?} {:?} {page:?}", filter.states, filter.patterns));
        ready(RunPage { runs: self.listed.clone(), total: 7, more: true })
    }
    fn usage(&self, _: UserId, from: Timestamp, to: Timestamp) -> Answer<'_, Vec<UsageCell>> {
        self.note(format!("usage {from} {to}"));
        ready(self.usage.clone())
    }
}

impl RunFeeds for World {
    fn follow(
        &self,
        user: UserId,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> Answer<'_, Option<RunMessages>> {
        self.note(format!("follow {after:?}"));
        ready(self.story(user, run).map(|story| {
            let messages = story.feed(after).1.into_iter().map(Ok);
            RunMessages { messages: stream::iter(messages).boxed() }
        }))
    }
}

fn request(query: &str, variables: Value, user: UserId) -> Request {
    let roles = BTreeSet::from([Role::User]);
    let principal = Principal::of_session(user, SessionId::default(), roles);
    let (correlation, peer) = (CorrelationId(Uuid::from_u128(8)), PeerKey::default());
    let info = RequestInfo { correlation, user_agent: None, peer, via: Via::Graphql };
    Request::new(query).variables(Variables::from_json(variables)).data(principal).data(info)
}

fn schema(world: &Arc<World>) -> claviger_graphql::ClavigerSchema {
    claviger_graphql::build(Ports {
        keys: Arc::new(Unasked),
        reads: world.clone(),
        credentials: Arc::new(Unasked),
        accounts: Arc::new(Unasked),
        administration: Arc::new(Unasked),
        server: Arc::new(ServerInfo {
            version: "0",
            is_registration_open: true,
            has_issuer: false,
            has_max_plan: false,
        }),
        feeds: Arc::new(Unasked),
        run_commands: world.clone(),
        run_reads: world.clone(),
        run_feeds: world.clone(),
    })
}

/// The response to a request of the owner within a budget, and how often its execution was polled.
pub(super) fn answer(
    world: &Arc<World>,
    query: &str,
    variables: Value,
    budget: &AnswerBudget,
) -> (Response, usize) {
    finished(schema(world).execute(request(query, variables, OWNER), budget))
}

/// Polls a future that waits only for its own turn, and counts how often.
fn finished<T>(future: impl Future<Output = T>) -> (T, usize) {
    let (mut future, mut cx) = (pin!(future), std::task::Context::from_waker(Waker::noop()));
    for polls in 1..10_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return (output, polls);
        }
    }
    panic!("it waits for something else");
}

/// The whole response to a user's request.
pub(super) fn ask_as(user: UserId, world: &Arc<World>, query: &str, variables: Value) -> Value {
    let answer = schema(world)
        .execute(request(query, variables, user), &AnswerBudget::default())
        .now_or_never()
        .expect("nothing waits");
    serde_json::to_value(answer).unwrap()
}

/// The data of a request by the owner, which must succeed.
pub(super) fn ask(world: &Arc<World>, query: &str, variables: Value) -> Value {
    let answer = ask_as(OWNER, world, query, variables);
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].clone()
}

/// All items of a subscription, and the cursors reported as passed.
pub(super) fn follow(
    user: UserId,
    world: &Arc<World>,
    query: &str,
    resume: Option<String>,
) -> (Vec<Value>, Vec<String>) {
    let passed = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&passed);
    let progress =
        Progress { resume, passed: Arc::new(move |cursor| noted.lock().unwrap().push(cursor)) };
    let items = schema(world).subscribe(
        request(query, json!({}), user).data(progress),
        claviger_graphql::answer::AnswerBudget::default(),
    );
    let items = items.map(|item| serde_json::to_value(item).unwrap()).collect();
    let (items, _): (Vec<_>, _) = finished(items);
    let passed = passed.lock().unwrap().clone();
    (items, passed)
}
