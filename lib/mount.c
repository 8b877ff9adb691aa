/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The public mount calls: choosing the engine, the other one past its limit,
 * and the last look at the result.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "error.h"
#include "fs.h"
#include "holders.h"
#include "process.h"
#include "scope.h"
#include "shale.h"

/* The engines to try in turn; @second is NULL where there is no other. */
struct choice {
	const struct mount_engine *first, *second;
};

static int choose(struct choice *ret, struct shale_error *err)
{
	const char *forced = secure_getenv("SHALE_MOUNT_ENGINE");

	*ret = (struct choice){ &mount_libmount, NULL };
	if (!forced || !*forced) {
		if (mount_fsmount_is_here())
			*ret = (struct choice){ &mount_fsmount,
						&mount_libmount };
		return 0;
	}
	if (!strcmp(forced, mount_libmount.name))
		return 0;
	if (strcmp(forced, mount_fsmount.name) != 0)
		return error_fail(
			err, EINVAL,
			"SHALE_MOUNT_ENGINE is '%s', neither fsmount nor libmount",
			forced);
	ret->first = &mount_fsmount;
	if (!mount_fsmount_is_here())
		return error_fail(
			err, ENOSYS,
			"SHALE_MOUNT_ENGINE is 'fsmount', which this kernel, or lack of privilege, does not allow");
	return 0;
}

struct request {
	const struct spec *spec;
	const char *target; /* NULL: detached */
	int target_fd;
};

/* Made apart, where its directories are covered, then moved. */
static int ask_mapped(const struct mount_engine *engine,
		      const struct request *request, int *ret_fd,
		      struct shale_error *err)
{
	auto_fd fd = -1;
	int r = mount_mapped(engine, request->spec, &fd, err);

	if (r == 0 && request->target)
		r = mount_move(fd, request->target_fd, request->target, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int ask(const struct mount_engine *engine, const struct request *request,
	       int *ret_fd, struct shale_error *err)
{
	if (request->spec->maps.uid)
		return ask_mapped(engine, request, ret_fd, err);
	if (!request->target)
		return engine->detached(request->spec, ret_fd, err);
	return engine->attach(request->spec, request->target,
			      request->target_fd, ret_fd, err);
}

static int try_engines(const struct request *request, int *ret_fd,
		       struct shale_error *err)
{
	struct shale_error first = SHALE_ERROR_INIT, second = SHALE_ERROR_INIT;
	struct choice choice;
	int r = choose(&choice, err);

	if (r < 0)
		return r;
	r = ask(choice.first, request, ret_fd, &first);
	if (r == 0)
		return 0;
	/* More than it carries, or a system call that is not here. */
	if ((r != -E2BIG && r != -ENOSYS) || !choice.second)
		return error_fail(err, -r, "%s", first.msg);
	r = ask(choice.second, request, ret_fd, &second);
	if (r != -E2BIG && r != -ENOSYS)
		return r < 0 ? error_fail(err, -r, "%s", second.msg) : 0;
	return error_fail(err, -r, "no mount engine can: %s: %s; %s: %s",
			  choice.first->name, first.msg, choice.second->name,
			  second.msg);
}

/*
 * The kernel itself refuses directories that are not there or not together,
 * and does not tell which: only then they are looked at one by one, which for
 * many layers takes as long as half the mount.
 */
static int run(const struct request *request, int *ret_fd,
	       struct shale_error *err)
{
	struct shale_error kernels = SHALE_ERROR_INIT;
	int r = try_engines(request, ret_fd, &kernels), why;

	if (r == 0)
		return 0;
	why = mount_check_dirs(request->spec, err);
	return why < 0 ? why : error_fail(err, -r, "%s", kernels.msg);
}

/* Else the kernel's EPERM would come from somewhere in the middle. */
static int check_privilege(struct shale_error *err)
{
	if (process_is_admin())
		return 0;
	return error_fail(
		err, EPERM,
		"it needs root, or a user namespace of your own: 'shale unshare' makes one");
}

static int parse(const struct shale_mount_spec *mount, struct spec **ret,
		 struct shale_error *err)
{
	auto_spec spec = NULL;
	int r = spec_parse(mount, &spec, err);

	if (r == 0)
		r = mount_check_context(spec, err);
	if (r == 0)
		r = check_privilege(err);
	/* A file would do for the kernel. */
	if (r == 0 && spec->kind == SPEC_BIND)
		r = mount_check_dirs(spec, err);
	if (r == 0)
		*ret = take_ptr(&spec);
	return r;
}

/* A mount on a shared one joins its peers: private has to come after. */
static int finish(int fd, const char *target, struct shale_error *err)
{
	int r = mount_set_private(fd, err);

	if (r == 0)
		r = mount_verify_place(fd, target, err);
	if (r == 0)
		return 0;
	mount_undo(fd);
	return r;
}

static int mount_at(const struct shale_mount_spec *mount, const char *target,
		    struct shale_error *err)
{
	struct request request = { NULL, target, -1 };
	auto_spec spec = NULL;
	auto_fd target_fd = -1;
	auto_fd fd = -1;
	int r = parse(mount, &spec, err);

	if (r == 0)
		r = mount_open_dir(target, "target", &target_fd, err);
	if (r < 0)
		return r;
	request.spec = spec;
	request.target_fd = target_fd;
	r = run(&request, &fd, err);
	return r < 0 ? r : finish(fd, target, err);
}

int shale_mount(const struct shale_mount_spec *spec, const char *target,
		struct shale_error *err)
{
	int r;

	if (!target || !*target)
		return error_fail(err, EINVAL, "mount: no target");
	r = mount_at(spec, target, err);
	return r < 0 ? error_context(err, r, "mount on '%s'", target) : 0;
}

int shale_mount_detached(const struct shale_mount_spec *mount, int *ret_fd,
			 struct shale_error *err)
{
	struct request request = { NULL, NULL, -1 };
	auto_spec spec = NULL;
	int r = parse(mount, &spec, err);

	request.spec = spec;
	if (r == 0)
		r = run(&request, ret_fd, err);
	return r < 0 ? error_context(err, r, "mount") : 0;
}

static int refuse_busy(const char *target, struct shale_error *err)
{
	char holder[HOLDER_SIZE] = "";
	uint64_t mnt_id;

	if (err && fs_mnt_id(AT_FDCWD, target, &mnt_id) == 0)
		holders_name_mount(mnt_id, holder);
	return *holder ? error_fail(err, EBUSY, "unmount '%s': it is busy: %s",
				    target, holder)
		       : error_errno(err, EBUSY, "unmount '%s'", target);
}

int shale_unmount(const char *target, struct shale_error *err)
{
	struct stat st;

	if (!target || !*target)
		return error_fail(err, EINVAL, "unmount: no target");
	if (umount2(target, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno == EBUSY)
		return refuse_busy(target, err);
	if (errno == EPERM)
		return error_errno(err, EPERM, "unmount '%s'%s", target,
				   mount_hint(EPERM));
	if (errno != EINVAL)
		return error_errno(err, errno, "unmount '%s'", target);
	/* A mount follows the link, so that this looks like the same place. */
	if (fstatat(AT_FDCWD, target, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		return error_fail(
			err, EINVAL,
			"unmount '%s': it is a symbolic link: name the directory that it leads to",
			target);
	return error_fail(err, EINVAL, "unmount '%s': it is not a mount point",
			  target);
}
