//! In which ways a store is broken on purpose, and which cases of the contract must find it.

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Gives pages of the log in another order.
    UnsortedRead,
    /// Gives what lies at the cursor, too.
    CursorAtInsteadOfAfter,
    /// Skips one event after the cursor.
    CursorOneTooFar,
    /// Takes positions from a counter beside the transaction: a refusal leaves a gap.
    CounterOutsideTheTransaction,
    /// Applies what two calls of an inline view give.
    InlineTwice,
    /// Takes claims without regard to their holder.
    NoClaimCheck,
    /// Keeps no command records.
    NoRecords,
    /// Writes the rows of an append it refuses.
    RowsOfRefusals,
    /// Commits each event on its own.
    EventsOneByOne,
    /// Forgets the id in a cursor, so that ties are skipped.
    TiesSkipped,
    /// Begins behind the owner of a place where it should begin behind its row.
    OwnersRestSkipped,
    /// Reports every rotation as won.
    RotationAlwaysWon,
    /// Holds the newest event back.
    StaleRead,
    /// Re-encodes facts.
    FactsReencoded,
    /// Forgets the owner in one read.
    OwnerForgotten,
    /// Appends without the acting credential.
    CredentialForgotten,
    /// Drops an append when its caller goes away.
    DroppedWithItsCaller,
    /// Gives a lease to every process that requests it.
    LeaseForAll,
    /// Advances a view from wherever it is.
    AdvanceTwice,
    /// Moves the checkpoint of a view and forgets its rows.
    CheckpointWithoutRows,
    /// Lets a process that lost its lease write on.
    Unfenced,
    /// Repairs rows from what was read earlier.
    RepairFromOldEvents,
    /// Rewraps a user key without a look at what the row has become.
    RewrapsWithoutCompare,
    /// Gives a new user key without a look at what the rows have become.
    RekeysWithoutCompare,
    /// Takes what is sealed under any user key.
    SealedUnderAnyKey,
    /// Forgets that something was destroyed.
    WearForgotten,
    /// Writes a row of text over the one that stands there.
    TextReplaced,
    /// Reports a row as written where another stands in its place.
    TakenTextHidden,
    /// Writes the text of one run of a flush only.
    TextOfOneRunOnly,
    /// Refuses a whole flush for one row of it.
    NeighboursOfTakenTextLost,
    /// Counts rows of text behind a missing one, too.
    TextCountedPastAGap,
    /// Doesn't look at the streams that a decision relied on.
    RelianceForgotten,
    /// Doesn't count the rows that are to stay below a bound.
    RowsUncounted,
}

const TAKEN: &str = "a_taken_value_is_refused_with_its_holder";

const RELIED_ON: &[&str] = &[
    "a_stream_that_changed_refuses_what_relied_on_it",
    "nothing_that_relied_on_a_stream_stands_behind_its_change",
];

const COUNTED: &[&str] =
    &["concurrent_appends_fill_a_bound_exactly", "a_place_below_a_bound_is_free_again_at_once"];

impl How {
    pub(super) const ALL: &[Self] = &[
        Self::UnsortedRead,
        Self::CursorAtInsteadOfAfter,
        Self::CursorOneTooFar,
        Self::CounterOutsideTheTransaction,
        Self::InlineTwice,
        Self::NoClaimCheck,
        Self::NoRecords,
        Self::RowsOfRefusals,
        Self::EventsOneByOne,
        Self::TiesSkipped,
        Self::OwnersRestSkipped,
        Self::RotationAlwaysWon,
        Self::StaleRead,
        Self::FactsReencoded,
        Self::OwnerForgotten,
        Self::CredentialForgotten,
        Self::DroppedWithItsCaller,
        Self::LeaseForAll,
        Self::AdvanceTwice,
        Self::CheckpointWithoutRows,
        Self::Unfenced,
        Self::RepairFromOldEvents,
        Self::RewrapsWithoutCompare,
        Self::RekeysWithoutCompare,
        Self::SealedUnderAnyKey,
        Self::WearForgotten,
        Self::TextReplaced,
        Self::TakenTextHidden,
        Self::TextOfOneRunOnly,
        Self::NeighboursOfTakenTextLost,
        Self::TextCountedPastAGap,
        Self::RelianceForgotten,
        Self::RowsUncounted,
    ];

    /// Cases that must fail.
    pub(super) fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::RelianceForgotten => RELIED_ON,
            Self::RowsUncounted => COUNTED,
            Self::UnsortedRead => &[
                "positions_are_dense_and_versions_count_up",
                "a_page_of_the_log_begins_after_its_cursor",
            ],
            Self::CursorAtInsteadOfAfter => &["a_page_of_the_log_begins_after_its_cursor"],
            Self::CursorOneTooFar => &[
                "a_page_of_the_log_begins_after_its_cursor",
                "whoever_reads_after_an_answer_sees_the_append",
            ],
            Self::CounterOutsideTheTransaction => {
                &["after_a_refusal_positions_go_on_without_a_gap"]
            }
            Self::InlineTwice => &["an_inline_view_is_applied_once"],
            Self::NoClaimCheck => {
                &["a_value_is_taken_once", "racing_claims_have_one_winner", TAKEN]
            }
            Self::NoRecords => &[
                "a_command_leaves_its_record",
                "racing_repeats_have_one_effect",
                "a_repeat_is_told_so_before_anything_else",
            ],
            Self::RowsOfRefusals => &["a_wrong_version_is_refused_with_the_right_one", TAKEN],
            Self::EventsOneByOne => &[TAKEN, "the_events_of_one_append_stay_together"],
            Self::TiesSkipped => {
                &["a_view_is_paged_forward", "a_page_lies_strictly_between_its_places"]
            }
            Self::OwnersRestSkipped => &["rows_of_all_owners_are_listed_in_order"],
            Self::RotationAlwaysWon => {
                &["a_racing_rotation_happens_once", "a_rotation_from_another_generation_is_none"]
            }
            Self::StaleRead => {
                &["whoever_reads_after_an_answer_sees_the_append", "a_restart_goes_on_where_it_was"]
            }
            Self::FactsReencoded => &["facts_come_back_byte_for_byte"],
            Self::OwnerForgotten => &["a_history_shows_nobody_elses_events"],
            Self::CredentialForgotten => &[
                "every_field_of_an_event_comes_back",
                "every_credential_and_face_comes_back_and_is_part_of_the_leaf",
            ],
            Self::DroppedWithItsCaller => &["a_caller_that_goes_away_stops_nothing"],
            Self::LeaseForAll => &["a_lease_has_one_holder", "racing_for_a_lease_has_one_winner"],
            Self::AdvanceTwice => {
                &["an_advance_is_applied_once", "a_moved_checkpoint_changes_nothing"]
            }
            Self::CheckpointWithoutRows => &["a_view_and_its_checkpoint_move_together"],
            Self::Unfenced => &["a_stale_token_changes_nothing"],
            Self::RepairFromOldEvents => &["a_repair_on_top_of_old_events_changes_nothing"],
            Self::RewrapsWithoutCompare => &["a_rewrap_of_a_row_that_has_changed_is_none"],
            Self::RekeysWithoutCompare => &["a_new_user_key_for_rows_that_have_changed_is_none"],
            Self::SealedUnderAnyKey => &["what_is_sealed_under_an_older_user_key_is_refused"],
            Self::WearForgotten => &[
                "what_is_destroyed_wears_the_user_key",
                "a_new_user_key_takes_the_place_of_the_old",
            ],
            Self::TextReplaced | Self::NeighboursOfTakenTextLost => {
                &["a_row_of_text_is_never_replaced_and_its_neighbours_are_written"]
            }
            Self::TakenTextHidden => &["racing_flushes_of_one_place_have_one_winner"],
            Self::TextOfOneRunOnly => &["rows_of_text_come_back_as_they_were_flushed"],
            Self::TextCountedPastAGap => {
                &["rows_of_text_are_counted_up_to_the_first_that_is_missing"]
            }
        }
    }
}
