#pragma once
// Commands: lines of JSON in, one line of JSON out for each.
//
// Owner    a member or a pusher.
// Thread   one.
// Limit    one command at a time.

#include <functional>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

namespace encke::bench {

using Command = nlohmann::json;
using Reply = nlohmann::ordered_json;

// "do" -> what answers it; what it answers gets "did" in front.
using Verbs = std::map<std::string, std::function<Reply(const Command&)>>;

// The answer to one line, whatever is in it.
Reply Obey(const Verbs& verbs, const std::string& line);
void Say(const Reply& reply);
// Until "quit" or the end of standard input.
void ObeyAll(const Verbs& verbs);

}  // namespace encke::bench
