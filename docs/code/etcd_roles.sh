#!/bin/sh
# Roles by prefix for everybody who uses the etcd of a gohan-jobs deployment.
#
# Run it once, as root of that etcd: ETCDCTL_ENDPOINTS, ETCDCTL_USER, ETCDCTL_CACERT and, where
# etcd wants a client's certificate, ETCDCTL_CERT and ETCDCTL_KEY say where and as whom.
# Passwords are read from files, so that nobody sees them in a list of processes.
#   etcd_roles.sh DIRECTORY    with a file for each user: gohan, manager, worker, agent, operator
set -eu
passwords=$1

role() { # NAME, then ACCESS PREFIX ...
    name=$1
    shift
    etcdctl role add "$name"
    while [ $# -gt 0 ]; do
        etcdctl role grant-permission "$name" --prefix=true "$1" "$2"
        shift 2
    done
    etcdctl user add "$name" --interactive=false < "$passwords/$name"
    etcdctl user grant-role "$name" "$name"
}

# The API server: writes configs, removes states, reads everything that it shows.
role gohan readwrite /config/ readwrite /state/ read /monitoring/ read /esi-worker/ \
    readwrite /gohan/

# Job managers: all of them, since any may lead. The last is one key, but watched as a prefix.
role manager read /config/ readwrite /state/ readwrite /monitoring/ readwrite /jobs/ \
    readwrite /esi-worker/ readwrite /gohan-jobs/ readwrite /job_manager_id

# Workers: they move jobs, and never add or remove one.
role worker read /config/ readwrite /state/ read /jobs/ readwrite /jobs/ready/ \
    readwrite /jobs/waiting/ readwrite /jobs/working/ readwrite /jobs/finished/ \
    readwrite /esi-worker/ readwrite /gohan-jobs/

# Monitoring agents, if they use Lifecycle.report: too early a status is held under our own prefix.
role agent read /config/ read /state/ readwrite /monitoring/ readwrite /gohan-jobs/reports/

# People who look: status, jobs, explain, graph, watch, history, doctor, dump. Retry and cancel
# leave a request for the leader, release takes a claim from its holder, accepting lets a stopped
# leader go on.
role operator read /config/ read /state/ read /monitoring/ read /jobs/ read /esi-worker/ \
    read /gohan-jobs/ read /job_manager_id read /worker-workflow-jobs \
    readwrite /gohan-jobs/retries/ readwrite /gohan-jobs/cancels/ \
    readwrite /jobs/working/ readwrite /gohan-jobs/preempt/
etcdctl role grant-permission operator readwrite /gohan-jobs/accept # one key, no prefix
