/* A module for ipmi_sim, which has no DCMI of its own: the command Get Power Reading (DCMI 1.5, 6.6.1).
 *
 * Its option is a file: ``WATTS ACTIVE SECONDS`` (of the BMC's own clock since 1970; 0: now), read at each request.
 * ``-`` instead: DCMI is answered as a BMC without it does.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <OpenIPMI/mcserv.h>
#include <OpenIPMI/msg.h>

enum { GROUP = 0xdc, GET_POWER_READING = 2, INVALID_COMMAND = 0xc1, PERIOD_MS = 1000, LENGTH = 19 };

static char told[4096];

static void put(unsigned char *at, unsigned long value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = value >> (8 * i) & 255;
}

static void answer(lmc_data_t *mc, msg_t *request, unsigned char *reply, unsigned int *length, void *unused)
{
    unsigned watts = 0, active = 0;
    unsigned long seconds = 0;
    FILE *file = fopen(told, "r");
    int found = file ? fscanf(file, "%u %u %lu", &watts, &active, &seconds) : 0;

    (void)mc;
    (void)unused;
    if (file)
        fclose(file);
    if (request->cmd != GET_POWER_READING || found != 3) {
        reply[0] = INVALID_COMMAND;
        *length = 1;
        return;
    }
    memset(reply, 0, LENGTH);
    reply[1] = GROUP;
    for (int i = 0; i < 4; i++) /* current, minimum, maximum, mean */
        put(reply + 2 + 2 * i, watts, 2);
    put(reply + 10, seconds ? seconds : (unsigned long)time(NULL), 4);
    put(reply + 14, PERIOD_MS, 4);
    reply[18] = active ? 0x40 : 0;
    *length = LENGTH;
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *options)
{
    (void)sys;
    (void)options;
    return 0;
}

int ipmi_sim_module_init(sys_data_t *sys, const char *options)
{
    (void)sys;
    snprintf(told, sizeof told, "%s", options);
    ipmi_emu_register_group_extension_handler(GROUP, answer, NULL);
    return 0;
}
