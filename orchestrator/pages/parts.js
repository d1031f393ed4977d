// A file with several runs about different samples: the run that the address names takes the place of the first.

{
  const wanted = document.getElementById(`part-${new URLSearchParams(location.search).get("run")}`);
  if (wanted?.content) document.getElementById("part").replaceChildren(wanted.content);
}
