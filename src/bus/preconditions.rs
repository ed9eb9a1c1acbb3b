//! Conditions that a command carries besides the rules of its aggregate. The executor checks them
//! right before each decision, and the store checks in the append's transaction that what they were
//! read from has not changed since. So what was true when the request arrived must still hold where
//! its events stand in the log.

use super::Bus;
use super::control_run::run_refusal;
use crate::system::failure::store_failure;
use claviger_application::{CommandContext, ForeignToken, Principal};
use claviger_domain::actor::{ActingCredential, Role};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{RunId, SessionId, UserId};
use claviger_domain::orchestration::RunError;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Fewer, OPEN_RUNS, Page, RUNS, Reliance};
use std::collections::BTreeSet;

/// How long a sign-in counts as one of lately: as long as a token of an issuer does where it stands
/// for a password.
const LATELY_MS: u64 = 5 * 60 * 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// The sign-in by which the command was given is still valid.
    Caller(Caller),
    /// The caller signed in a short time ago.
    SignedInLately(Caller),
    /// The owner's content was not destroyed: a row that is written afterwards would come back.
    NotErased,
    /// The owner has fewer unfinished runs than this.
    OpenRunsBelow(u64),
    /// The run belongs to the owner, which never changes.
    OwnsRun(RunId),
}

/// The user who gave a command, and the sign-in by which they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    user: UserId,
    /// `None` for a credential that belongs to no session and that nothing can check.
    session: Option<SessionId>,
    /// Present if they came with an external issuer's token.
    foreign: Option<ForeignToken>,
    /// The roles at the beginning of the request.
    roles: BTreeSet<Role>,
}

impl Caller {
    /// The caller of a command; `None` for timers, the engine, the operator and the installation.
    pub(super) fn of(context: &CommandContext) -> Option<Precondition> {
        Self::who_gave(context).map(Precondition::Caller)
    }

    /// The same for what a stolen token must not do: they have shown a moment ago who they are.
    pub(super) fn lately(context: &CommandContext) -> Option<Precondition> {
        Self::who_gave(context).map(Precondition::SignedInLately)
    }

    fn who_gave(context: &CommandContext) -> Option<Self> {
        let (user, credential) = (context.actor.user?, context.actor.credential?);
        let session = match credential {
            ActingCredential::Session(session) => Some(session),
            ActingCredential::ApiToken(_) => None,
            ActingCredential::Operator | ActingCredential::Timer => return None,
        };
        let (foreign, roles) = (context.foreign, context.roles.clone());
        Some(Self { user, session, foreign, roles })
    }

    /// A user who made a request.
    pub(super) fn principal(principal: Principal) -> Precondition {
        let (user, session) = (principal.user, principal.session());
        let Principal { foreign, roles, .. } = principal;
        Precondition::Caller(Self { user, session, foreign, roles })
    }

    /// The caller's roles now.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` once their session has ended or they may not sign in, `FORBIDDEN` on what
    /// belongs to others unless they are an administrator now, or a fault of the store.
    async fn check(
        &self,
        bus: &Bus,
        owner: UserId,
        relies_on: &mut Reliance,
    ) -> Result<BTreeSet<Role>, Failure> {
        let stream = StreamName::Account(self.user);
        let (version, account) = bus.aggregates.accounts.load(&*bus.store, stream).await?;
        relies_on.unchanged.push((stream, version));
        let is_open = match self.foreign {
            // Their one session may have been ended and started again, so the token's age decides.
            // The row is read after the fold: if it is newer, the append is refused.
            Some(token) => bus.lets_in(self.user, token).await?,
            None => self.session.is_some_and(|session| account.sessions.contains(&session)),
        };
        if !(is_open && account.is_active) {
            return Err(ended());
        }
        let is_by_token = self.foreign.is_some_and(|token| token.decides_roles);
        let roles = if is_by_token { self.roles.clone() } else { account.roles };
        if owner != self.user {
            if !roles.contains(&Role::Admin) {
                return Err(others());
            }
            bus.not_erased(owner, relies_on).await?;
        }
        Ok(roles)
    }

    /// Refuses a caller who signed in too long ago. A refresh is no sign-in.
    async fn check_sign_in(&self, bus: &Bus) -> Result<(), Failure> {
        let at = match (self.foreign, self.session) {
            (Some(token), _) => Some(token.issued_at),
            (None, Some(session)) => {
                let member = bus.aggregates.member(self.user).await?;
                member.and_then(|member| member.signed_in_at(session))
            }
            (None, None) => None,
        };
        // The log's time never goes back: an old sign-in stays old when the clock is set back, and
        // the next one is a new one.
        let head = bus.store.head().await.map_err(|error| store_failure(&error))?;
        let now = bus.env.clock.now().max(head.at);
        if at.is_some_and(|at| now.ms_since(at) <= LATELY_MS) { Ok(()) } else { Err(long_ago()) }
    }
}

/// What a decision is made on, once its preconditions hold.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// The caller's roles; `None` for a command without a caller.
    pub(super) roles: Option<BTreeSet<Role>>,
    /// What the append has to rely on.
    pub(super) relies_on: Reliance,
}

impl Admitted {
    /// Adds a precondition, if it holds now.
    ///
    /// # Errors
    /// The refusal, or a fault of the store.
    pub(super) async fn check(
        &mut self,
        precondition: &Precondition,
        bus: &Bus,
        owner: UserId,
    ) -> Result<(), Failure> {
        match precondition {
            Precondition::Caller(caller) => {
                self.roles = Some(caller.check(bus, owner, &mut self.relies_on).await?);
            }
            Precondition::SignedInLately(caller) => caller.check_sign_in(bus).await?,
            Precondition::NotErased => bus.not_erased(owner, &mut self.relies_on).await?,
            Precondition::OpenRunsBelow(max) => {
                let page = Page { limit: 1, ..Page::default() };
                let page = bus.store.page(OPEN_RUNS, owner, page).await;
                let open = page.map_err(|error| store_failure(&error))?.total;
                if open >= *max {
                    return Err(too_many_runs(open, *max));
                }
                self.relies_on.fewer = Some(Fewer { view: OPEN_RUNS, owner, than: *max });
            }
            Precondition::OwnsRun(run) => {
                let row = bus.store.row(RUNS, owner, run.0).await;
                let row = row.map_err(|error| store_failure(&error))?;
                row.ok_or_else(|| run_refusal(RunError::NotFound))?;
            }
        }
        Ok(())
    }
}

impl Bus {
    async fn not_erased(&self, owner: UserId, relies_on: &mut Reliance) -> Result<(), Failure> {
        let stream = StreamName::Account(owner);
        let (version, account) = self.aggregates.accounts.load(&*self.store, stream).await?;
        relies_on.unchanged.push((stream, version));
        if account.is_erased { Err(Failure::not_found("account")) } else { Ok(()) }
    }

    /// Whether the account of an external issuer's user accepts this token now.
    async fn lets_in(&self, user: UserId, token: ForeignToken) -> Result<bool, Failure> {
        let member = self.aggregates.member(user).await?;
        Ok(member.is_some_and(|member| member.facts.lets_in(token.issued_at)))
    }
}

fn ended() -> Failure {
    let message = "your session has ended meanwhile: nothing was changed, sign in again";
    Failure::new(ErrorCode::Unauthenticated, message)
}

fn long_ago() -> Failure {
    let message = "this needs a sign-in of the last five minutes, so that a stolen token cannot do \
                   it: nothing was changed, sign in again (login) and repeat it with the new token";
    Failure::new(ErrorCode::Unauthenticated, message).with(FailureDetail::Credentials)
}

fn others() -> Failure {
    Failure::new(ErrorCode::Forbidden, "this needs the role admin: nothing was changed")
}

fn too_many_runs(open: u64, max: u64) -> Failure {
    let message = format!(
        "{open} of your orchestrations have not ended, and the limit is {max}: wait for some, or \
         cancel them"
    );
    Failure::new(ErrorCode::LimitExceeded, message)
}
