//! Broken queues.

mod driver;
mod look;
mod push;
mod seen;
mod settle;
mod wait;

pub use driver::BrokenQueue;

/// How a [`BrokenQueue`] is broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum QueueFault {
    /// It declares something else each time.
    CapabilitiesChange,
    /// What of a payload is no text is replaced.
    PayloadIsText,
    /// A second push of an id that waits replaces the task.
    KnownIdOverwrites,
    /// A push of an id that is held says that it is new.
    LeasedIdIsForgotten,
    /// A push of a dead letter's id says that it is new.
    BuriedIdIsForgotten,
    /// The id of a task that is done cannot be used again.
    IdIsKnownForEver,
    /// An id that another lane knows is known.
    IdsAreGlobal,
    /// A lane gives the tasks of lanes below it, as folders do.
    LaneIsFolder,
    /// An id of more than 255 bytes is cut off.
    LongIdIsCut,
    /// What an id may not have is replaced.
    BadIdIsMended,
    /// A payload that is too large is cut off.
    LargePayloadIsCut,
    /// A pushed note that is too large is cut off.
    LargeNoteIsCut,
    /// A delay that is too long becomes the longest.
    LongDelayIsCut,
    /// A settlement's note or reason that is too large is cut off.
    SettledNoteIsCut,
    /// A redrive's note that is too large is cut off.
    RedrivenNoteIsCut,
    /// A delay ends a tenth of a second early.
    DelayIsShort,
    /// A retry comes a tenth of a second early.
    RetryIsEarly,
    /// A redriven letter comes a tenth of a second early.
    RedriveIsEarly,
    /// Of several tasks the last comes first.
    LastComesFirst,
    /// A lease of at most none gives one.
    ZeroIsOne,
    /// A lease of more than a minute ends at once.
    LongVisibilityIsCut,
    /// A task always says that it was not leased before.
    LeasesAreNotCounted,
    /// Each lease has a smaller fence.
    FencesFall,
    /// `extend` makes no lease longer.
    ExtendNeverLengthens,
    /// A stale token settles the task for its holder.
    StaleTokenSettles,
    /// A stale token extends its holder's lease.
    StaleTokenExtends,
    /// A lease that ended cannot be settled, even if nobody has leased the task since.
    ExpiredTokenIsStale,
    /// A lease that was settled can be settled again, without effect.
    SecondSettlementIsTaken,
    /// A task that has a note, and is done, comes back.
    DoneIsLost,
    /// A retried task has its old note.
    RetryKeepsTheNote,
    /// A dead letter does not say why.
    ReasonIsLost,
    /// Of the follow-ups only three are pushed.
    FourthFollowUpIsLost,
    /// A follow-up whose id is known is an error.
    KnownFollowUpIsRefused,
    /// Follow-ups are pushed until one is refused.
    FollowUpsAreNotCheckedFirst,
    /// A stale settlement's follow-ups are pushed.
    StaleSettlementPushes,
    /// A dead letter stays when it is cancelled.
    CancelLeavesLetters,
    /// A task is cancelled whoever holds it.
    CancelTakesWhatIsHeld,
    /// Cancelling nothing says that it was removed.
    CancelAlwaysRemoves,
    /// No more than ten waiting tasks are counted.
    DepthCountsOnePage,
    /// A task whose lease ended is counted as held until somebody leases it.
    ExpiredCountsAsLeased,
    /// The oldest is the last one that was pushed.
    OldestIsTheNewest,
    /// Lanes are listed from `after` on.
    LanesBeginAtAfter,
    /// A lane is listed for ever.
    EmptyLanesAreListed,
    /// Held tasks are listed among the dead letters.
    LeasedAreListedAsBuried,
    /// A list is in the order of times.
    ListIsByTime,
    /// A list begins at `after`.
    ListBeginsAtAfter,
    /// A redrive of one letter is one of all.
    RedriveOfOneIsOfAll,
    /// A redrive of all leaves the last letter.
    RedriveOfAllMissesOne,
    /// A purge of what waits takes the dead letters along.
    PurgeTakesLetters,
    /// A purge of dead letters says that there was none.
    PurgedLettersAreNotCounted,
    /// A purge of held tasks does nothing, and does not say so.
    PurgeOfLeasedIsNothing,
    /// A wait does not look whether there is a task already.
    WaitNeedsAChange,
    /// A push ends no wait.
    PushDoesNotWake,
    /// The end of a delay ends no wait.
    DelayEndDoesNotWake,
    /// The end of a lease ends no wait.
    LeaseEndDoesNotWake,
    /// A retry, a follow-up and a redrive end no wait.
    SettlementDoesNotWake,
    /// A wait of less than a second is none.
    WaitIsShort,
    /// Between the look for an id and its push others may push it.
    PushIsNotAtomic,
    /// Who leases while others do gets their tasks, too.
    LeaseIsNotAtomic,
    /// Who settles while others do is told that it was done.
    SettlementIsNotAtomic,
    /// A task that is leased while it is cancelled is both.
    CancelIsNotAtomic,
    /// The last push does not survive a crash.
    LastPushIsNotDurable,
    /// Fences begin anew after a crash.
    FencesBeginAnew,
}

impl QueueFault {
    /// Every fault, with the one case that finds it.
    pub const ALL: [(Self, &'static str); 63] = [
        (Self::CapabilitiesChange, "capabilities_are_constant"),
        (Self::PayloadIsText, "what_was_pushed_is_leased"),
        (Self::KnownIdOverwrites, "a_known_id_changes_nothing"),
        (Self::LeasedIdIsForgotten, "an_id_is_known_while_its_task_is_leased"),
        (Self::BuriedIdIsForgotten, "an_id_is_known_while_its_task_is_buried"),
        (Self::IdIsKnownForEver, "an_id_is_free_once_its_task_is_over"),
        (Self::IdsAreGlobal, "an_id_belongs_to_its_lane"),
        (Self::LaneIsFolder, "a_lane_gives_its_own_tasks_alone"),
        (Self::LongIdIsCut, "the_longest_names_are_told_apart"),
        (Self::BadIdIsMended, "a_bad_id_is_refused"),
        (Self::LargePayloadIsCut, "a_payload_over_the_limit_is_refused"),
        (Self::LargeNoteIsCut, "a_note_over_the_limit_is_refused"),
        (Self::LongDelayIsCut, "a_delay_over_the_limit_is_refused"),
        (Self::SettledNoteIsCut, "a_settlement_over_a_limit_changes_nothing"),
        (Self::RedrivenNoteIsCut, "a_redrive_over_the_limit_changes_nothing"),
        (Self::DelayIsShort, "a_task_is_not_leased_before_its_time"),
        (Self::RetryIsEarly, "a_retried_task_is_not_leased_before_its_time"),
        (Self::RedriveIsEarly, "a_redriven_letter_is_not_leased_before_its_time"),
        (Self::LastComesFirst, "tasks_are_leased_in_the_order_in_which_they_became_visible"),
        (Self::ZeroIsOne, "a_lease_gives_no_more_than_asked"),
        (Self::LongVisibilityIsCut, "a_leased_task_is_nobody_elses"),
        (Self::LeasesAreNotCounted, "a_task_whose_lease_ends_is_leased_again"),
        (Self::FencesFall, "a_later_lease_has_a_greater_fence"),
        (Self::ExtendNeverLengthens, "extend_holds_a_task_from_now"),
        (Self::StaleTokenSettles, "a_stale_token_settles_nothing"),
        (Self::StaleTokenExtends, "a_stale_token_extends_nothing"),
        (Self::ExpiredTokenIsStale, "an_expired_token_settles_if_nobody_leased_since"),
        (Self::SecondSettlementIsTaken, "a_lease_settles_once"),
        (Self::DoneIsLost, "a_done_task_is_gone"),
        (Self::RetryKeepsTheNote, "a_retried_task_comes_back_with_its_note"),
        (Self::ReasonIsLost, "a_buried_task_is_set_aside"),
        (Self::FourthFollowUpIsLost, "follow_ups_are_pushed"),
        (Self::KnownFollowUpIsRefused, "a_known_follow_up_changes_nothing"),
        (Self::FollowUpsAreNotCheckedFirst, "an_invalid_follow_up_changes_nothing"),
        (Self::StaleSettlementPushes, "a_stale_settlement_pushes_nothing"),
        (Self::CancelLeavesLetters, "cancel_removes_what_nobody_holds"),
        (Self::CancelTakesWhatIsHeld, "cancel_leaves_what_is_held"),
        (Self::CancelAlwaysRemoves, "cancel_of_nothing_is_absent"),
        (Self::DepthCountsOnePage, "depth_counts_every_place"),
        (Self::ExpiredCountsAsLeased, "depth_follows_the_end_of_a_lease"),
        (Self::OldestIsTheNewest, "the_oldest_is_the_first_push_that_waits"),
        (Self::LanesBeginAtAfter, "lanes_are_listed_in_byte_order_and_in_pages"),
        (Self::EmptyLanesAreListed, "a_lane_without_tasks_is_not_listed"),
        (Self::LeasedAreListedAsBuried, "a_list_shows_each_place"),
        (Self::ListIsByTime, "a_list_is_in_the_order_of_pushes"),
        (Self::ListBeginsAtAfter, "a_list_goes_on_behind_a_position"),
        (Self::RedriveOfOneIsOfAll, "redrive_of_one_leaves_the_others"),
        (Self::RedriveOfAllMissesOne, "redrive_of_all_leaves_none"),
        (Self::PurgeTakesLetters, "purge_removes_what_waits"),
        (Self::PurgedLettersAreNotCounted, "purge_removes_dead_letters"),
        (Self::PurgeOfLeasedIsNothing, "purge_of_leased_tasks_is_refused"),
        (Self::WaitNeedsAChange, "wait_is_over_at_once_for_a_visible_task"),
        (Self::PushDoesNotWake, "wait_ends_upon_a_push"),
        (Self::DelayEndDoesNotWake, "wait_ends_when_a_delay_ends"),
        (Self::LeaseEndDoesNotWake, "wait_ends_when_a_lease_ends"),
        (Self::SettlementDoesNotWake, "wait_ends_upon_a_settlement"),
        (Self::WaitIsShort, "wait_ends_at_its_deadline"),
        (Self::PushIsNotAtomic, "racing_pushes_of_one_id_give_one_new"),
        (Self::LeaseIsNotAtomic, "two_lessees_never_hold_one_task"),
        (Self::SettlementIsNotAtomic, "racing_settlements_of_one_lease_give_one"),
        (Self::CancelIsNotAtomic, "a_cancelled_task_is_never_leased"),
        (Self::LastPushIsNotDurable, "what_was_acknowledged_survives_reopening"),
        (Self::FencesBeginAnew, "an_old_token_is_stale_after_reopening"),
    ];
}
