#include "tally/accounts.h"

#include <algorithm>

namespace encke::bench {

void Offers::Note(std::uint32_t stream, std::uint32_t sequence, Fate fate) {
  if (stream >= fates.size()) fates.resize(stream + 1);
  auto& of = fates[stream];
  if (sequence >= of.size()) of.resize(sequence + 1);
  of[sequence] = static_cast<std::uint32_t>(fate);
}

std::uint64_t Offers::Count(Fate fate) const {
  std::uint64_t sum = 0;
  for (const auto& of : fates)
    sum += static_cast<std::uint64_t>(
        std::count(of.begin(), of.end(), static_cast<std::uint32_t>(fate)));
  return sum;
}

std::uint64_t Offers::Expected(const std::vector<std::uint32_t>& members) const {
  std::uint64_t sum = 0;
  for (std::size_t s = 0; s < fates.size(); ++s) {
    const std::size_t group = s / streams_per_group;
    const auto accepted =
        std::count(fates[s].begin(), fates[s].end(), static_cast<std::uint32_t>(Fate::kAccepted));
    sum += static_cast<std::uint64_t>(accepted) * (group < members.size() ? members[group] : 0);
  }
  return sum;
}

void Accounts::Add(const Accounts& other) {
  offered += other.offered;
  accepted += other.accepted;
  refused += other.refused;
  expected += other.expected;
  delivered += other.delivered;
  lost += other.lost;
  unconfirmed += other.unconfirmed;
  duplicates += other.duplicates;
  out_of_order += other.out_of_order;
  foreign += other.foreign;
}

nlohmann::ordered_json Accounts::ToJson() const {
  return {{"offered", offered},         {"accepted", accepted},     {"refused", refused},
          {"expected", expected},       {"delivered", delivered},   {"lost", lost},
          {"unconfirmed", unconfirmed}, {"duplicates", duplicates}, {"out_of_order", out_of_order},
          {"foreign", foreign}};
}

Accounts Settle(const Offers& offers,
                const Tally& tally,
                const std::vector<std::uint32_t>& members) {
  Accounts a;
  a.accepted = offers.Count(Fate::kAccepted);
  a.refused = offers.Count(Fate::kRefused);
  a.offered = a.accepted + a.refused;
  a.expected = offers.Expected(members);
  a.delivered = tally.delivered;
  a.duplicates = tally.duplicates;
  a.out_of_order = tally.out_of_order;
  a.foreign = tally.foreign;
  for (std::size_t s = 0; s < offers.fates.size(); ++s) {
    const std::size_t group = s / offers.streams_per_group;
    const std::uint32_t owed = group < members.size() ? members[group] : 0;
    for (std::size_t i = 0; i < offers.fates[s].size(); ++i) {
      const auto fate = static_cast<Fate>(offers.fates[s][i]);
      const bool known = s < tally.received.size() && i < tally.received[s].size();
      const std::uint32_t got = known ? tally.received[s][i] : 0;
      if (fate == Fate::kAccepted && got < owed) a.lost += owed - got;
      if (fate == Fate::kRefused) a.unconfirmed += got;
    }
  }
  return a;
}

}  // namespace encke::bench
