//! Which test is expected to notice each mutant. It runs first; if it doesn't, all others do, which only takes longer.

use tieline_protocol::mutant::Mutant;

/// Where to look first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// As `suites` names it.
    pub(crate) suite: &'static str,
    pub(crate) test: &'static str,
    /// That a test doesn't end is how this mutant shows itself.
    pub(crate) hangs: bool,
}

/// Within the source of the broker.
const fn broker(test: &'static str) -> Expected {
    Expected { suite: "tieline-broker/src", test, hangs: false }
}

/// Within the source of the protocol.
const fn protocol(test: &'static str) -> Expected {
    Expected { suite: "tieline-protocol/src", test, hangs: false }
}

/// A story of the broker.
const fn story(test: &'static str) -> Expected {
    Expected { suite: "tieline-broker/stories", test, hangs: false }
}

/// The test doesn't end.
const fn hangs(mut expected: Expected) -> Expected {
    expected.hangs = true;
    expected
}

/// See the module.
// It is a table; as a match it has to be complete.
#[allow(clippy::too_many_lines)]
pub(crate) const fn expected(mutant: Mutant) -> Expected {
    match mutant {
        Mutant::RequestBroadcast => story("assignment::second_receiver_never_sees_first_request"),
        Mutant::LateFrameBroadcast => story("old_faults::a_late_frame_is_never_sent_to_others"),
        Mutant::AnyFrameMakesReady => story("receives::nothing_but_a_receive_makes_a_receiver_ready"),
        Mutant::OpenerNotChecked => {
            story("ownership::an_impostor_with_anothers_client_id_gets_nothing_of_a_live_request")
        }
        Mutant::ReceiverNotChecked => story("ownership::frames_of_strangers_change_nothing_for_anybody"),
        Mutant::TimeOutsNotEnforced => story("old_faults::time_outs_are_enforced"),
        Mutant::DeadReceiverAssigned => story("old_faults::a_dead_receiver_is_assigned_nothing"),
        Mutant::RefusedSilently => story("old_faults::a_full_queue_answers_whoever_it_refuses"),
        Mutant::UnassignedOnlyAtEnd => story("old_faults::death_cancel_and_time_out_leak_no_assignment"),
        Mutant::StartedSaidUnstarted => story("endings::a_cancel_is_answered_once_in_every_stage"),
        Mutant::SeenForgotten => {
            story("handing_out_again::unstarted_is_said_exactly_when_every_hand_out_was_returned_or_never_left")
        }
        Mutant::ClaimedStartTakenBack => story("handing_out_again::claimed_is_left_even_if_it_was_never_written"),
        Mutant::LostStartNotTakenOut => {
            story("handing_out_again::a_start_that_had_not_left_a_lost_receiver_never_leaves_it")
        }
        Mutant::ReadinessLostOnTakeBack => {
            story("receives::a_start_that_has_not_left_is_taken_out_whole_and_its_readiness_used_for_the_next")
        }
        Mutant::ReadinessNotReused => {
            story("receives::a_start_that_has_not_left_is_taken_out_whole_and_its_readiness_used_for_the_next")
        }
        Mutant::OldReceiveTakenBackFrom => story("receives::a_start_stays_pinned_when_the_next_receive_is_open"),
        Mutant::AcceptNotNoted => story("handing_out_again::a_request_can_be_returned_only_before_it_was_accepted"),
        Mutant::BegunHandedOutAgain => {
            story("handing_out_again::a_receiver_lost_with_a_start_that_left_is_told_as_it_is")
        }
        Mutant::TimerKeptAtWait => {
            story("idempotent::an_idempotent_request_whose_receiver_was_lost_and_who_waits_no_longer_has_a_wait")
        }
        Mutant::OverdueHandedOut => {
            story("deadlines::what_passed_its_wait_or_deadline_is_never_handed_out_though_the_timer_is_late")
        }
        Mutant::LiveIdsTakenOver => {
            story("ownership::an_impostor_with_anothers_client_id_gets_nothing_of_a_live_request")
        }
        Mutant::OneByteBeyondCredit => story("credit::the_initial_window_may_be_used_to_the_last_byte_and_no_further"),
        Mutant::GrantOneByteTooFar => story("credit::a_grant_may_be_one_window_ahead_and_not_a_byte_more"),
        Mutant::GrantNotInBooks => story("credit::grants_pass_through_and_repeated_or_older_ones_change_nothing"),
        Mutant::WaitingCountsAsForwarded => {
            story("credit::what_still_waits_for_the_consumer_does_not_count_as_forwarded")
        }
        Mutant::CancelLeaksOneByte => story("endings::a_cancel_overtakes_and_discards_what_is_queued_both_ways"),
        Mutant::GivenBackTwice => broker("budget::tests::what_is_dropped_is_given_back"),
        Mutant::WrittenStaysReserved => story(
            "memory::a_grant_beyond_the_initial_window_is_reserved_for_whoever_granted_and_given_back_as_bytes_are_written",
        ),
        Mutant::AdmissionFreedEarly => story("memory::an_exchange_holds_its_admission_until_its_last_byte_is_written"),
        Mutant::ErrorUnpaid => story("memory::the_error_that_ends_an_exchange_is_paid_for_until_it_is_written"),
        Mutant::PinnedStartUnpaid => {
            story("floods::a_pinned_start_is_paid_for_until_it_is_written_though_its_sender_is_gone")
        }
        Mutant::HungryForgotten => story("memory::what_cannot_be_reserved_now_is_passed_on_later_unasked"),
        Mutant::HungryTurnNotAdvanced => story("memory::memory_that_comes_free_is_shared_in_turn_by_connection"),
        Mutant::ProducerLeftStanding => story("memory::a_producer_that_stands_still_is_granted_even_little"),
        Mutant::HungrySpins => {
            hangs(story("memory::memory_that_comes_free_is_offered_once_to_those_who_have_spent_their_share"))
        }
        Mutant::GrantsTakeLastQuarter => story("memory::grants_leave_the_last_quarter_of_the_budget_to_admissions"),
        Mutant::SenderTurnNotAdvanced => story("fairness::senders_are_served_in_turn_and_each_first_in_first_out"),
        Mutant::ReceiverTurnNotAdvanced => {
            story("fairness::a_receiver_that_asks_for_64_does_not_take_the_work_of_one_that_asks_for_one")
        }
        Mutant::WriterTurnNotTaken => {
            story("fairness::bulk_holds_up_something_small_on_the_same_connection_by_one_turn_at_the_most")
        }
        Mutant::ErrorWaitsItsTurn => story("endings::a_servers_error_overtakes_the_bulk_of_others_too"),
        Mutant::FinalLost => story("assignment::a_small_exchange_is_two_frames_in_and_two_out"),
        Mutant::BodyBehindFinal => {
            story("credit::nothing_but_an_error_follows_the_end_of_a_request_however_it_was_closed")
        }
        Mutant::SmallPiecesOvertaken => {
            protocol("pieces::tests::small_pieces_are_joined_and_large_ones_are_not_copied")
        }
        Mutant::PongOvertakesRefusal => {
            protocol("outbox::tests::order::the_answer_to_a_ping_stands_behind_the_refusals_of_what_came_before_it")
        }
        Mutant::PongForgotten => protocol("outbox::tests::order::the_answer_to_a_ping_is_something_to_write"),
        Mutant::NobodyWoken => story("assignment::a_small_exchange_is_two_frames_in_and_two_out"),
        Mutant::NextReceiveRaised => {
            protocol("outbox::tests::receives::a_raise_of_a_withdrawn_receive_does_not_touch_the_next")
        }
        Mutant::KeyUsedAgain => protocol("arena::tests::a_key_kept_too_long_misses"),
        Mutant::ReceiverNotTold => story("endings::a_cancel_is_answered_once_in_every_stage"),
        Mutant::DrainForgetsWaiting => story("drain::a_drain_ends_receives_and_what_waits_and_lets_go_on_what_runs"),
        Mutant::EndKeepsReceives => {
            story("receives::the_end_of_a_connection_withdraws_all_its_receives_and_what_it_has_goes_on")
        }
        Mutant::LateFramesHeldAgainst => {
            story("floods::late_frames_within_the_credit_of_an_ended_exchange_are_free_and_others_are_not")
        }
        Mutant::ReservedFlagsAccepted => {
            protocol("rules::shapes::tests::of_every_type_and_flag_and_sender_just_what_the_table_has_is_legal")
        }
        Mutant::PayloadOneByteTooLong => {
            protocol("rules::shapes::tests::payloads_out_of_bounds_and_values_out_of_place_are_refused")
        }
        Mutant::HeaderForgotten => protocol("frame::tests::any_split_of_the_bytes_gives_the_same_frames"),
        Mutant::MetadataOneByteTooLong => protocol("frame::tests::metadata_that_is_longer_than_its_start_is_refused"),
        Mutant::IdUsedTwice => protocol("session::tests::request_ids_strictly_increase_and_gaps_are_harmless"),
        Mutant::FloodNeverStrikes => broker("flood::tests::a_burst_is_forgiven_with_time"),
        Mutant::SilenceNotNoticed => protocol("liveness::tests::a_silent_peer_is_pinged_once_and_then_given_up"),
        Mutant::StallClockRestarts => protocol("liveness::tests::more_that_waits_gives_a_stalled_peer_no_more_time"),
        Mutant::CrawlClockRestarts => {
            protocol("liveness::tests::a_frame_that_crawls_is_the_end_and_one_that_keeps_its_pace_is_not")
        }
    }
}
