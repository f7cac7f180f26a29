/* A driver to play with: the functions of libnvidia-ml.so.1 that the agent calls, with the meaning they have there.
 *
 * What it plays stands in the file named by FAKE_NVML, read whenever it was changed, a statement a line:
 *   driver VERSION              the kernel's; another one than this library's own is a mismatch; 0: not loaded
 *   generation N                grows when the driver is loaded anew: handles of before are of no use
 *   gpu UUID ENERGY_MJ MILLIWATT ENERGY_ERROR HANDLE_ERROR SINCE_MS
 *                               ENERGY_MJ at SINCE_MS, from then on at MILLIWATT; SINCE_MS 0: it stands still
 *   mig INDEX UUID              an instance on that GPU
 *   process UUID PID            who computes on a GPU or instance
 * Energies that were told are noted in FAKE_NVML_LOG: "<ms since 1970> <uuid> <mJ>".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef LIBRARY_VERSION
#define LIBRARY_VERSION 1
#endif
#define MOST 64
enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       NOT_LOADED = 9, GPU_IS_LOST = 15, MISMATCH = 18 };

struct part { char uuid[80]; unsigned long long energy_mj, since_ms; unsigned milliwatt; int energy_error, handle_error, board; };
struct process { char uuid[80]; unsigned pid; };
static struct { int driver, generation, gpus, migs, processes; struct part gpu[MOST], mig[MOST]; struct process process[MOST]; } now;
static int users = 0, opened_generation = -1;

static unsigned long long clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (unsigned long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void look(void)
{
    static struct stat before;
    struct stat found = {0};
    const char *path = getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "";
    char line[512];
    FILE *file;
    if (!stat(path, &found) && found.st_ino == before.st_ino && found.st_mtim.tv_nsec == before.st_mtim.tv_nsec &&
        found.st_mtim.tv_sec == before.st_mtim.tv_sec)
        return; /* so that what is measured of the agent is not this file's reading */
    before = found;
    file = fopen(path, "r");
    memset(&now, 0, sizeof now);
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        struct part *gpu = &now.gpu[now.gpus], *mig = &now.mig[now.migs];
        struct process *one = &now.process[now.processes];
        if (sscanf(line, "driver %d", &now.driver) == 1 || sscanf(line, "generation %d", &now.generation) == 1)
            continue;
        if (sscanf(line, "gpu %79s %llu %u %d %d %llu", gpu->uuid, &gpu->energy_mj, &gpu->milliwatt, &gpu->energy_error,
                   &gpu->handle_error, &gpu->since_ms) == 6)
            gpu->board = now.gpus++;
        else if (sscanf(line, "mig %d %79s", &mig->board, mig->uuid) == 2)
            now.migs++;
        else if (sscanf(line, "process %79s %u", one->uuid, &one->pid) == 2)
            now.processes++;
    }
    fclose(file);
}

/* A handle is (generation, instance or 0, board) in a pointer: one that is old is known by its generation. */
static void *handle(int board, int instance)
{
    return (void *)(((unsigned long)now.generation << 32) | ((unsigned long)instance << 16) | (unsigned long)(board + 1));
}

static int ready(void)
{
    look();
    if (!users)
        return UNINITIALIZED;
    if (!now.driver)
        return NOT_LOADED;
    if (now.driver != LIBRARY_VERSION)
        return MISMATCH;
    return OK;
}

static int find(void *device, struct part **found)
{
    unsigned long bits = (unsigned long)device, board = bits & 0xffff, instance = (bits >> 16) & 0xffff;
    int code = ready();
    if (code)
        return code;
    if ((int)(bits >> 32) != now.generation || opened_generation != now.generation)
        return GPU_IS_LOST;
    if (!board || (int)board > now.gpus || (int)instance > now.migs)
        return INVALID_ARGUMENT;
    *found = instance ? &now.mig[instance - 1] : &now.gpu[board - 1];
    return OK;
}

int nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    look();
    if (!now.driver)
        return NOT_LOADED;
    if (now.driver != LIBRARY_VERSION)
        return MISMATCH;
    users++;
    opened_generation = now.generation;
    return OK;
}

int nvmlShutdown(void)
{
    if (!users)
        return UNINITIALIZED;
    users--;
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    int code = ready();
    *count = now.gpus;
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    int code = ready();
    if (code)
        return code;
    if ((int)index >= now.gpus)
        return INVALID_ARGUMENT;
    *device = handle((int)index, 0);
    return now.gpu[index].handle_error;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length)
{
    struct part *part;
    int code = find(device, &part);
    if (code)
        return code;
    snprintf(uuid, length, "%s", part->uuid);
    return OK;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length)
{
    struct part *part;
    int code = find(device, &part);
    snprintf(name, length, "NVIDIA Plaything");
    return code;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy)
{
    struct part *part;
    char line[160];
    unsigned long long at = clock_ms();
    int file, code = find(device, &part);
    if (code)
        return code;
    if (part < now.gpu || part >= now.gpu + MOST)
        return NOT_SUPPORTED; /* of an instance nobody knows */
    if (part->energy_error)
        return part->energy_error;
    *energy = part->energy_mj + (part->since_ms ? (at - part->since_ms) * part->milliwatt / 1000 : 0);
    if (getenv("FAKE_NVML_LOG") && (file = open(getenv("FAKE_NVML_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600)) >= 0) {
        if (write(file, line, snprintf(line, sizeof line, "%llu %s %llu\n", at, part->uuid, *energy)) < 0)
            abort();
        close(file);
    }
    return OK;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatt)
{
    struct part *part;
    int code = find(device, &part);
    if (!code)
        *milliwatt = part->milliwatt;
    return code;
}

static int instances(struct part *board)
{
    int count = 0;
    for (int i = 0; i < now.migs; i++)
        count += now.mig[i].board == board->board;
    return count;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
    struct part *part;
    int code = find(device, &part);
    if (!code)
        *current = *pending = instances(part) > 0;
    return code;
}

int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count)
{
    struct part *part;
    *count = 7;
    return find(device, &part);
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **instance)
{
    struct part *part;
    int code = find(device, &part), seen = 0;
    if (code)
        return code;
    for (int i = 0; i < now.migs; i++)
        if (now.mig[i].board == part->board && seen++ == (int)index) {
            *instance = handle(part->board, i + 1);
            return OK;
        }
    return NOT_FOUND;
}

struct info { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; };

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct info *infos)
{
    struct part *part;
    unsigned room = *count, found = 0;
    int code = find(device, &part);
    if (code)
        return code;
    for (int i = 0; i < now.processes; i++)
        if (!strcmp(now.process[i].uuid, part->uuid)) {
            if (infos && found < room)
                infos[found] = (struct info){now.process[i].pid, 1 << 20, 0, 0};
            found++;
        }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}

const char *nvmlErrorString(int code)
{
    (void)code;
    return "an error of the plaything";
}
