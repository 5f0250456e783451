#include "load/commands.h"

#include <cstdio>
#include <iostream>

namespace encke::bench {
namespace {

Reply Mistake(const std::string& what) { return {{"did", "error"}, {"error", what}}; }

}  // namespace

Reply Obey(const Verbs& verbs, const std::string& line) {
  const Command command = Command::parse(line, nullptr, false);
  if (!command.is_object() || !command.contains("do") || !command["do"].is_string())
    return Mistake("not {\"do\":...}: " + line);
  const std::string name = command["do"];
  if (name == "quit") return {{"did", "quit"}};
  const auto verb = verbs.find(name);
  if (verb == verbs.end()) return Mistake("cannot do " + name);
  try {
    Reply reply = {{"did", name}};
    reply.update(verb->second(command));
    return reply;
  } catch (const nlohmann::json::exception& wrong) {  // a field of another type
    return Mistake(wrong.what());
  }
}

void Say(const Reply& reply) {
  std::printf("%s\n", reply.dump().c_str());
  std::fflush(stdout);
}

void ObeyAll(const Verbs& verbs) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    const Reply reply = Obey(verbs, line);
    Say(reply);
    if (reply["did"] == "quit") return;
  }
}

}  // namespace encke::bench
