#include "comet/stats.h"

#include <functional>

#include <fmt/core.h>

#include "comet/roll.h"
#include "daemon/stats.h"
#include "downlink/interest.h"
#include "downlink/push_door.h"
#include "downlink/reports.h"
#include "hub/hub.h"
#include "session/addresses.h"
#include "talk/talks.h"
#include "uplink/census.h"

namespace encke::comet {
namespace {

using Shards = std::vector<ShardView>;

double Sum(const Shards& shards, const std::function<std::uint64_t(const ShardView&)>& of) {
  std::uint64_t sum = 0;
  for (const ShardView& shard : shards)
    sum += of(shard);
  return static_cast<double>(sum);
}

double Sum(const Shards& shards, Counter session::ShardStats::*counter) {
  return Sum(shards, [counter](const ShardView& s) { return (s.sessions->*counter).value(); });
}

double Level(const Shards& shards, Gauge session::ShardStats::*gauge) {
  return Sum(shards, [gauge](const ShardView& s) {
    return static_cast<std::uint64_t>((s.sessions->*gauge).value());
  });
}

void WriteConnections(MetricsWriter& out, const Shards& shards) {
  for (std::size_t t = 0; t < session::kTransports; ++t) {
    out.Level("encke_comet_connections", "open client connections",
              fmt::format("via=\"{}\"", session::kTransportNames[t]),
              Sum(shards, [t](const ShardView& s) {
                return static_cast<std::uint64_t>(s.sessions->open[t].value());
              }));
  }
  for (std::size_t t = 0; t < session::kTransports; ++t) {
    out.Count("encke_comet_connections_opened_total", "client connections accepted",
              fmt::format("via=\"{}\"", session::kTransportNames[t]),
              Sum(shards, [t](const ShardView& s) { return s.sessions->opened[t].value(); }));
  }
  for (const session::CloseRow& row : session::kCloseTable) {
    if (row.reason == session::CloseReason::kNone) continue;
    const auto i = static_cast<std::size_t>(row.reason);
    out.Count("encke_comet_connections_closed_total", "client connections ended, by reason",
              fmt::format("reason=\"{}\"", row.name),
              Sum(shards, [i](const ShardView& s) { return s.sessions->closed[i].value(); }));
  }
  out.Level("encke_comet_channels", "authenticated connections", "",
            Level(shards, &session::ShardStats::channels));
}

void WriteSessions(MetricsWriter& out, const Shards& shards) {
  const auto auth = [&](const char* result, Counter session::ShardStats::*counter) {
    out.Count("encke_comet_auth_total", "answers to auth", fmt::format("result=\"{}\"", result),
              Sum(shards, counter));
  };
  auth("accepted", &session::ShardStats::auth_accepted);
  auth("refused", &session::ShardStats::auth_refused);
  auth("unavailable", &session::ShardStats::auth_unavailable);
  auth("link_full", &session::ShardStats::auth_full);
  auth("client_left", &session::ShardStats::auth_left);
  for (std::size_t i = 0; i < session::kOpRows; ++i) {
    out.Count("encke_comet_requests_total", "client packages handled, by operation",
              fmt::format("op=\"{}\"", session::kOpTable[i].name),
              Sum(shards, [i](const ShardView& s) { return s.sessions->requests[i].value(); }));
  }
  out.Count("encke_comet_skipped_total", "client packages skipped before auth", "",
            Sum(shards, &session::ShardStats::skipped));
  out.Count("encke_comet_upstream_dropped_total", "client packages that logic did not get", "",
            Sum(shards, &session::ShardStats::upstream_dropped));
  out.Count("encke_comet_rooms_refused_total", "joins refused because of rooms_max", "",
            Sum(shards, &session::ShardStats::rooms_refused));
  out.Count("encke_comet_renewals_total", "sessions renewed", "",
            Sum(shards, &session::ShardStats::renewals));
}

void WriteTalks(MetricsWriter& out, const Shards& shards) {
  const auto count = [&](const char* name, const char* help, const char* labels,
                         Counter talk::TalkStats::*counter) {
    out.Count(name, help, labels,
              Sum(shards, [counter](const ShardView& s) { return (s.talks->*counter).value(); }));
  };
  using T = talk::TalkStats;
  count("encke_comet_v2_welcomes_total", "clients of version 2 let in", "", &T::welcomes);
  const char* rooms = "rooms of clients of version 2";
  count("encke_comet_v2_rooms_total", rooms, "what=\"joined\"", &T::joins);
  count("encke_comet_v2_rooms_total", rooms, "what=\"left\"", &T::leaves);
  count("encke_comet_v2_rooms_total", rooms, "what=\"refused\"", &T::joins_refused);
  const char* publishes = "publishes of clients";
  count("encke_comet_v2_publishes_total", publishes, "result=\"done\"", &T::publishes);
  count("encke_comet_v2_publishes_total", publishes, "result=\"refused\"", &T::publishes_refused);
  count("encke_comet_v2_publishes_rated_total", "publishes refused by the rate", "",
        &T::publishes_rate);
  count("encke_comet_v2_syncs_total", "fetches of timelines for clients", "", &T::syncs);
  count("encke_comet_v2_resumes_total", "of those, begun by the server", "", &T::resumes);
  count("encke_comet_v2_synced_pushes_total", "pushes in them", "", &T::synced_pushes);
  count("encke_comet_v2_reloads_total", "fetches of what was not kept any more", "", &T::reloads);
  count("encke_comet_v2_gaps_total", "gaps told", "why=\"slow\"", &T::gaps);
  count("encke_comet_v2_gaps_total", "gaps told", "why=\"excluded\"", &T::excluded_told);
  count("encke_comet_v2_errors_total", "requests that made no sense", "", &T::errors);
  count("encke_comet_v2_waiting_full_total", "questions that could not be asked", "",
        &T::waiting_full);
  count("encke_comet_v2_answers_late_total", "answers for clients that had left", "",
        &T::answers_late);
}

void WritePushes(MetricsWriter& out, const Shards& shards) {
  const auto pushes = [&](const char* kind, Counter hub::HubCounts::*counter) {
    out.Count("encke_comet_pushes_total", "pushes taken over, per shard concerned",
              fmt::format("kind=\"{}\"", kind),
              Sum(shards, [counter](const ShardView& s) { return (s.hub->*counter).value(); }));
  };
  const auto count = [&](const char* name, const char* help, Counter hub::HubCounts::*counter) {
    out.Count(name, help, "",
              Sum(shards, [counter](const ShardView& s) { return (s.hub->*counter).value(); }));
  };
  pushes("room", &hub::HubCounts::room_pushes);
  pushes("key", &hub::HubCounts::key_pushes);
  pushes("broadcast", &hub::HubCounts::broadcasts);
  count("encke_comet_deliveries_total", "pushes handed to a connection",
        &hub::HubCounts::deliveries);
  count("encke_comet_excluded_total", "pushes kept from a connection by their sender",
        &hub::HubCounts::excluded);
  count("encke_comet_timeline_repeats_total", "pushes whose timeline was past them",
        &hub::HubCounts::repeats);
  count("encke_comet_broadcasts_expired_total", "broadcasts cut short by their time",
        &hub::HubCounts::expired);
  count("encke_comet_batches_total", "batches encoded", &hub::HubCounts::batches);
  count("encke_comet_batches_widened_total", "times a hot room's next batch was made to wait",
        &hub::HubCounts::widened);
  const auto dropped = [&](const std::string& labels, double value) {
    out.Count("encke_comet_dropped_total", "pushes a connection did not get, by reason", labels,
              value);
  };
  for (std::size_t i = 0; i < backlog::kPolicies; ++i) {
    dropped(fmt::format("reason=\"slow\",policy=\"{}\"", backlog::kPolicyNames[i]),
            Sum(shards, [i](const ShardView& s) { return s.sessions->dropped_slow[i].value(); }));
  }
  dropped("reason=\"conflated\",policy=\"latest\"",
          Sum(shards, &session::ShardStats::dropped_conflated));
  dropped("reason=\"gone\"", Sum(shards, &session::ShardStats::dropped_gone));
  for (std::size_t i = 0; i < shards.size(); ++i) {
    out.Spread("encke_comet_batch_messages", "pushes per batch", fmt::format("shard=\"{}\"", i),
               shards[i].hub->batch_messages, 1);
  }
  out.Level("encke_comet_shard_rooms", "rooms with members, summed over shards", "",
            Level(shards, &session::ShardStats::rooms));
}

void WriteNet(MetricsWriter& out, const Shards& shards) {
  const auto count = [&](const char* name, const char* help, Counter net::NetCounts::*counter) {
    out.Count(name, help, "",
              Sum(shards, [counter](const ShardView& s) { return (s.net->*counter).value(); }));
  };
  count("encke_comet_bytes_in_total", "bytes from clients", &net::NetCounts::bytes_in);
  count("encke_comet_bytes_out_total", "bytes to clients", &net::NetCounts::bytes_out);
  count("encke_comet_sends_total", "writes to sockets", &net::NetCounts::sends);
  count("encke_comet_sends_partial_total", "writes the kernel took only part of",
        &net::NetCounts::sends_partial);
  count("encke_comet_refused_limit_total", "connections refused by connections_max",
        &net::NetCounts::refused_limit);
  count("encke_comet_accept_errors_total", "accept calls that failed",
        &net::NetCounts::accept_errors);
  const auto memory = [&](const char* what, Gauge session::ShardStats::*gauge) {
    out.Level("encke_comet_memory_bytes", "user memory held for clients",
              fmt::format("what=\"{}\"", what), Level(shards, gauge));
  };
  memory("sessions", &session::ShardStats::session_bytes);
  memory("net", &session::ShardStats::net_bytes);
  memory("hub", &session::ShardStats::hub_bytes);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    out.Spread("encke_comet_turn_seconds", "time worked per turn of a loop",
               fmt::format("shard=\"{}\"", i), *shards[i].turn_us, 1e-6);
  }
  out.Count("encke_comet_mailbox_refused_total", "tasks a full mailbox did not take", "",
            Sum(shards, [](const ShardView& s) { return s.posts_refused->value(); }));
  for (std::size_t i = 0; i < shards.size(); ++i) {
    out.Level("encke_comet_mailbox_tasks", "tasks waiting for a loop",
              fmt::format("shard=\"{}\"", i), static_cast<double>(shards[i].mailbox));
  }
}

void WriteLink(MetricsWriter& out, const uplink::LinkStats& link) {
  out.Level("encke_comet_logic_up", "1 while a session stream to logic is open", "",
            Value(link.up));
  out.Level("encke_comet_logic_waiting", "auth requests without an answer", "",
            Value(link.waiting));
  const auto events = [&](const char* kind, const Counter& counter) {
    out.Count("encke_comet_logic_events_total", "events handed to a stream",
              fmt::format("kind=\"{}\"", kind), Value(counter));
  };
  events("connect", link.connects);
  events("renewal", link.renewals);
  events("disconnect", link.disconnects);
  events("upstream", link.upstreams);
  events("request", link.requests);
  events("report", link.reports);
  const auto dropped = [&](const char* kind, const Counter& counter) {
    out.Count("encke_comet_logic_dropped_total", "events given up",
              fmt::format("kind=\"{}\"", kind), Value(counter));
  };
  dropped("connect", link.unanswered);
  dropped("renewal", link.dropped_renewals);
  dropped("disconnect", link.dropped_disconnects);
  dropped("request", link.requests_unanswered);
  dropped("report", link.dropped_reports);
  out.Count("encke_comet_logic_upstreams_in_doubt_total",
            "client packages handed to a stream that broke soon after: perhaps logic got them", "",
            Value(link.upstreams_in_doubt));
  out.Count("encke_comet_logic_streams_total", "streams opened", "", Value(link.streams));
  out.Count("encke_comet_logic_breaks_total", "streams that broke", "", Value(link.breaks));
  out.Count("encke_comet_logic_moves_total", "streams left for another logic", "why=\"silent\"",
            Value(link.moves_silent));
  out.Count("encke_comet_logic_moves_total", "streams left for another logic", "why=\"left\"",
            Value(link.moves_left));
  out.Count("encke_comet_logic_announces_total", "times the session map had to be told again", "",
            Value(link.announces));
  out.Spread("encke_comet_logic_answer_seconds", "auth handed in until answered", "",
             link.answer_us, 1e-6);
  out.Spread("encke_comet_logic_request_seconds", "requests handed in until answered", "",
             link.request_us, 1e-6);
}

void WriteDoor(MetricsWriter& out, const downlink::PushDoorCounts& door) {
  out.Level("encke_comet_jobs", "jobs connected", "", Value(door.jobs));
  out.Count("encke_comet_push_batches_total", "batches from jobs", "", Value(door.batches));
  out.Count("encke_comet_push_entries_total", "log entries taken over", "", Value(door.entries));
  out.Count("encke_comet_push_repeats_total", "log entries seen before", "", Value(door.repeats));
  out.Count("encke_comet_push_refused_total", "batches of an older lease", "",
            Value(door.refused_fence));
  out.Count("encke_comet_push_malformed_total", "log entries that are no push", "",
            Value(door.malformed));
  out.Count("encke_comet_push_unknown_keys_total", "keys not connected here", "",
            Value(door.unknown_keys));
  out.Count("encke_comet_push_filtered_total", "pushes to keys that do not accept the operation",
            "", Value(door.filtered));
  out.Count("encke_comet_push_dropped_total", "pushes refused by the hub or a slow client", "",
            Value(door.dropped));
  out.Count("encke_comet_push_expired_total", "pushes whose time was over", "",
            Value(door.expired));
  out.Count("encke_comet_push_commands_total", "kicks, joins and leaves by backends", "",
            Value(door.commands));
  out.Count("encke_comet_push_repaired_total", "pushes job brought from a timeline", "",
            Value(door.repaired));
  out.Count("encke_comet_push_turn_waits_total",
            "claims refused: another job was delivering the same partition", "",
            Value(door.turn_waits));
  out.Count("encke_comet_push_mailbox_waits_total", "posts that a full mailbox refused", "",
            Value(door.mailbox_waits));
  out.Spread("encke_comet_push_delay_seconds", "push accepted by logic until a shard has it", "",
             door.delay_us, 1e-6);
}

void WriteShared(MetricsWriter& out, const StatsView& view) {
  out.Level("encke_comet_rooms", "rooms counted here", "",
            static_cast<double>(view.census->rooms()));
  out.Level("encke_comet_addresses", "distinct addresses of authenticated clients", "",
            static_cast<double>(view.addresses->distinct()));
  out.Level("encke_comet_interest_rooms", "rooms told to jobs", "",
            static_cast<double>(view.interest->rooms()));
  out.Level("encke_comet_jobs_missing", "jobs of the registry that are not connected", "",
            static_cast<double>(view.interest->missing()));
  out.Count("encke_comet_interest_waits_total", "joins that waited for jobs", "",
            Value(view.interest->counts().waits));
  out.Count("encke_comet_interest_timeouts_total", "such waits that ran out", "",
            Value(view.interest->counts().waits_timed_out));
  out.Count("encke_comet_interest_forgotten_total", "rooms left that some job was not told of", "",
            Value(view.interest->counts().forgotten));
  out.Count("encke_comet_reports_forgotten_total",
            "pushes that asked for a report, given up because too many did", "",
            Value(view.reports->forgotten()));
  daemon::WriteNats(out, "comet", *view.nats);
}

void WriteRoll(MetricsWriter& out, const RollCounts& c) {
  out.Count("encke_comet_member_pages_total", "pages of members of rooms told to logic", "",
            Value(c.pages));
  out.Count("encke_comet_member_pages_refused_total", "not told: too many at once", "",
            Value(c.busy));
  out.Count("encke_comet_members_looked_at_total", "members looked at for them", "",
            Value(c.looked_at));
}

}  // namespace

std::string MetricsText(const StatsView& view) {
  MetricsWriter out;
  WriteConnections(out, view.shards);
  WriteSessions(out, view.shards);
  WriteTalks(out, view.shards);
  WritePushes(out, view.shards);
  WriteNet(out, view.shards);
  WriteLink(out, *view.link);
  WriteDoor(out, *view.door);
  WriteShared(out, view);
  WriteRoll(out, *view.roll);
  return out.Take();
}

}  // namespace encke::comet
